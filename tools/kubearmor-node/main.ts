// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The KubeArmor node server as a process of its own, for the demo, for `npm run dev` and for end-to-end tests.
// Invariant: stdout carries JSON lines only, the listening address first; everything for people goes to stderr.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { getErrorMessage } from "../../src/lib/error-message.ts";
import { readAlerts, spread, type WireAlert } from "./alerts.ts";
import type { KubeArmorNode } from "./node.ts";
import { KEEPALIVE } from "./node.ts";
import { startNode } from "./server.ts";

const USAGE = `usage: node tools/kubearmor-node/main.ts [options]
  --listen HOST:PORT   address to listen on; port 0 takes a free one (127.0.0.1:0)
  --alerts FILE        alerts, one JSON record a line (samples/alerts.jsonl)
  --once               send each alert of the file once, as it is
  --count N            send N alerts, going round the file
  --rate N             N alerts a second, going round the file for ever unless --once or --count ends it
  --restamp            with --once: give the alerts the present time and other process ids (otherwise always done)
  --spread             vary pods (4) and resources (3) of each alert
  --wait-for-client    send nothing before a client watches
  --end-when-done      end the streams with status OK after the last alert and exit
  --stay               stay after the last alert (the default)
  --lossless           wait for slow clients instead of dropping at 1000 queued alerts
  --keepalive KIND     ping like the relay (5 s, 20 s) or like the daemon (1 s, 5 s): relay | daemon (relay)
  --die-with-parent    exit when stdin closes
Without --once, --count and --rate it sends nothing.
SIGUSR2 prints the statistics; SIGTERM and SIGINT print them and exit.`;

const SPREAD = { pods: 4, resources: 3 };
function parse(argv: string[]) {
  const { values } = parseArgs({
    args: argv,
    options: {
      listen: { type: "string", default: "127.0.0.1:0" },
      alerts: { type: "string", default: fileURLToPath(new URL("../../samples/alerts.jsonl", import.meta.url)) },
      once: { type: "boolean", default: false },
      count: { type: "string" },
      rate: { type: "string" },
      restamp: { type: "boolean", default: false },
      spread: { type: "boolean", default: false },
      "wait-for-client": { type: "boolean", default: false },
      "end-when-done": { type: "boolean", default: false },
      stay: { type: "boolean", default: false },
      lossless: { type: "boolean", default: false },
      keepalive: { type: "string", default: "relay" },
      "die-with-parent": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { keepalive } = values;
  if (keepalive !== "relay" && keepalive !== "daemon") throw new Error(`--keepalive ${keepalive}: no such kind`);
  if (values.once && values.count !== undefined) throw new Error("--once and --count exclude each other");
  if (values.stay && values["end-when-done"]) throw new Error("--stay and --end-when-done exclude each other");
  return {
    ...values,
    ...parseHostAndPort(values.listen),
    keepalive: KEEPALIVE[keepalive],
    count: parsePositive("--count", values.count, Number.isSafeInteger),
    rate: parsePositive("--rate", values.rate, Number.isFinite),
  };
}

function parseHostAndPort(listen: string): { host: string; port: number } {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (!host || Number(port) > 65_535) throw new Error(`--listen ${listen}: not HOST:PORT`);
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

function parsePositive(name: string, value: string | undefined, fits: (n: number) => boolean): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!fits(number) || number <= 0) throw new Error(`${name} ${value}: not a positive number`);
  return number;
}

type Options = ReturnType<typeof parse>;

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Reads the alerts to send; none when the options ask for none. */
function selectAlerts(options: Options): WireAlert[] {
  if (!options.once && options.count === undefined && options.rate === undefined) return [];
  const alerts = readAlerts(options.alerts);
  if (alerts.length === 0) throw new Error(`--alerts ${options.alerts}: no alerts in it`);
  return options.spread ? spread(alerts, SPREAD.pods, SPREAD.resources) : alerts;
}

/** Sends what the options ask for; resolves when the last alert has left for every client. */
async function send(
  node: KubeArmorNode,
  alerts: readonly WireAlert[],
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { once, rate } = options;
  const count = once ? alerts.length : options.count;
  if (options["wait-for-client"]) await node.waitForClients(1, signal);
  await node.flood({
    alert: alerts,
    stamp: !once || options.restamp,
    signal,
    ...(count === undefined ? {} : { count }),
    ...(rate === undefined ? {} : { ratePerSec: rate }),
  });
  await node.waitUntilDrained(signal);
  signal.throwIfAborted();
}

async function main(options: Options): Promise<void> {
  const { host, port, keepalive, lossless } = options;
  const alerts = selectAlerts(options);
  const node = await startNode({ host, port, keepalive, dropLikeKubeArmor: !lossless });
  const over = new AbortController();
  const ended = new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve()));
  const report = (reason: string) => print({ reason, ...node.getStats() });
  const quit = () => over.abort();
  process.on("SIGUSR2", () => report("signal"));
  process.once("SIGTERM", quit);
  process.once("SIGINT", quit);
  // The reader of the lines is gone: so is the reason to run.
  process.stdout.on("error", quit);
  if (options["die-with-parent"]) process.stdin.on("error", quit).on("close", quit).resume();
  print({ listening: node.address });

  if (alerts.length > 0) {
    try {
      await send(node, alerts, options, over.signal);
      report("done");
    } catch (error) {
      if (!over.signal.aborted) throw error;
    }
  }
  if (!options["end-when-done"]) await ended;
  if (over.signal.aborted) await node.stop();
  else await node.close();
  report("exit");
  // A stdin that is still open would keep the process.
  process.stdin.destroy();
}

function parseOptionsOrExit(): Options {
  try {
    const options = parse(process.argv.slice(2));
    if (!options.help) return options;
    process.stderr.write(`${USAGE}\n`);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${getErrorMessage(error)}\n${USAGE}\n`);
    process.exit(2);
  }
}

try {
  await main(parseOptionsOrExit());
} catch (error) {
  process.stderr.write(`${getErrorMessage(error)}\n`);
  process.exit(1);
}
