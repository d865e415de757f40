// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The edge of the process: arguments, environment, signals, streams and exit codes are touched here and nowhere else.
// Invariant: no logic; it hands each command what it needs and turns what comes back into an exit code.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createFileSource } from "./alerts/file-source.ts";
import { limitHeapGrowth } from "./app/heap-limits.ts";
import { runOperator } from "./app/operator.ts";
import { VERSION } from "./app/version.ts";
import { EXIT_USAGE, parseArguments } from "./cli/arguments.ts";
import { runDemo } from "./cli/demo.ts";
import { replay } from "./cli/replay.ts";
import type { Terminal } from "./cli/terminal.ts";
import { type Config, type ConfigResult, parseConfig } from "./config/config.ts";
import { formatProblems } from "./config/config-problem.ts";
import type { FlagInputs } from "./config/environment.ts";
import { loadFileText } from "./config/file.ts";
import { printConfig } from "./config/print.ts";
import { KubeConfigError, loadKubeConfig } from "./kube/kubeconfig.ts";
import { systemClock } from "./lib/clock.ts";
import { createDirectorySink } from "./sinks/directory-sink.ts";
import { createLogger } from "./telemetry/pino.ts";

const EXIT_FAILED = 1;

type ConfigInForce = Exclude<ConfigResult, { problems: unknown }>;

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isInteractive: process.stdout.isTTY === true,
  stdin: process.stdin,
};

const DEMO = { nodePath: process.execPath, nodeServer: join(import.meta.dirname, "../tools/kubearmor-node/main.ts") };

async function main(argv: readonly string[]): Promise<number> {
  const call = parseArguments(argv, VERSION, existsSync(DEMO.nodeServer));
  if ("exit" in call) {
    terminal.out(call.stdout);
    terminal.err(call.stderr);
    return call.exit;
  }
  const stop = stopSignal();
  if (call.command === "demo") return await runDemo({ ...DEMO, terminal, clock: systemClock, out: call.out }, stop);
  const inForce = readConfig("flags" in call ? call.flags : {}, call.configPath);
  if (!inForce) return EXIT_USAGE;
  const { config, sources } = inForce;
  if (call.command === "replay") return await replayFile(config, call.file, call.out, stop);
  if (call.printConfig) {
    terminal.out(printConfig(config, sources));
    return 0;
  }
  return await run(call.command, config, stop);
}

async function run(command: "run" | "collect", config: Config, stop: AbortSignal): Promise<number> {
  limitHeapGrowth();
  const logger = createLogger({ stream: process.stdout, level: config.log.level });
  try {
    const kubeConfig = loadKubeConfig({ path: config.kubeconfig, env: process.env });
    const parts = { config, kubeConfig, logger, clock: systemClock, version: VERSION };
    // Loaded only where it is used, as is the NATS client.
    if (command === "collect") return await (await import("./app/scale/collect.ts")).runCollector(parts, stop);
    if (config.scale.enabled) return await (await import("./app/scale/own-partitions.ts")).runOwner(parts, stop);
    return await runOperator(parts, stop);
  } catch (error) {
    if (!(error instanceof KubeConfigError)) throw error;
    terminal.err(`${error.message}\n`);
    return EXIT_USAGE;
  }
}

async function replayFile(config: Config, file: string, out: string, stop: AbortSignal): Promise<number> {
  const feed = createFileSource({ input: file === "-" ? process.stdin : file });
  return await replay(
    { config, feed, sink: createDirectorySink(out, config.cluster.name), clock: systemClock, terminal, out },
    stop,
  );
}

/** Reads the configuration; prints every problem and returns undefined when it is wrong. */
function readConfig(flags: FlagInputs, path: string | undefined): ConfigInForce | undefined {
  const file = path === undefined ? { text: undefined } : loadFileText(path);
  const place = { identity: `${hostname()}-${randomBytes(4).toString("hex")}` };
  const result =
    "problems" in file ? file : parseConfig({ flags, env: process.env, fileText: file.text, filePath: path, place });
  if ("config" in result) return result;
  terminal.err(formatProblems(result.problems));
  return undefined;
}

/** Aborts at the first SIGTERM or SIGINT; a second one ends the process at once, as users expect. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(EXIT_FAILED);
      stop.abort();
    });
  }
  return stop.signal;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
    // Timers and sockets that are still open have nothing left to do.
    process.stdout.write("", () => process.exit(code));
  },
  (error: unknown) => {
    terminal.err(
      `${error instanceof Error ? (error.cause ? error.message : (error.stack ?? error.message)) : String(error)}\n`,
    );
    process.exit(EXIT_FAILED);
  },
);
