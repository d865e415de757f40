// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One process reads 1,000 and 5,000 nodes over loopback: a Go server with KubeArmor's pings, an address for each node.
// It prints the memory and processor time of the reader, for docs/nodes.md. `STREAMS=1000` runs a part,
// `BURST=250000` sends more at once.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AlertSource, ensureAlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { JsonProcess } from "../../bench/support/json-process.ts";
import { readCpuMs, readMemory } from "../../bench/support/process-stat.ts";
import { createFolder } from "../support/folder.ts";
import { createOperatorSpecs, findMtlsRelayObstacle, issue } from "../support/mtls.ts";

const STREAMS = (process.env["STREAMS"] ?? "1000,5000").split(",").map(Number);
/** Alerts of all nodes at once: reading 50,000 takes about a second, and KubeArmor waits 5 s for the answer to a ping. */
const BURST = Number(process.env["BURST"] ?? 50_000);
const IDLE_MS = 30_000;
const WAIT_MS = 600_000;

interface Counts {
  connected: number;
  alerts: number;
  disconnects: number;
  problem: string;
}

describe.each(STREAMS)("%i nodes", (streams) => {
  let folder: string;
  let server: AlertSource | undefined;
  let reader: JsonProcess | undefined;

  beforeAll(async () => {
    const missing = await findMtlsRelayObstacle();
    if (missing !== undefined) throw new Error(missing);
    folder = createFolder();
    const { ca, client } = issue(createOperatorSpecs());
    const files = { "ca.crt": ca?.cert, "ca.key": ca?.key, "client.crt": client?.cert, "client.key": client?.key };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text ?? "");
  });
  afterEach(async () => {
    await reader?.stop();
    await server?.stop();
  });

  async function read(reading: JsonProcess): Promise<Counts> {
    return (await reading.ask({}, "connected")) as unknown as Counts;
  }

  async function waitUntil(reading: JsonProcess, holds: (counts: Counts) => boolean): Promise<Counts> {
    for (const endMs = Date.now() + WAIT_MS; ; ) {
      const counts = await read(reading);
      if (holds(counts)) return counts;
      if (Date.now() > endMs) throw new Error(JSON.stringify(counts));
      await sleep(250);
    }
  }

  test.each(["plaintext", "mTLS"])("over %s", async (kind) => {
    const tls = kind === "mTLS" ? { tls: folder } : {};
    server = await startAlertSource(await ensureAlertSource(), { listen: "0.0.0.0:0", daemon: true, ...tls });
    const port = server.address.split(":").at(-1) ?? "";
    const args = [join(import.meta.dirname, "node-reader.ts"), port, String(streams)];
    const startMs = Date.now();
    const reading = new JsonProcess({ file: process.execPath, args: kind === "mTLS" ? [...args, folder] : args });
    reader = reading;
    // More than 30 s to connect are a gap.
    const { disconnects } = await waitUntil(reading, ({ connected }) => connected === streams);
    const connect = { seconds: (Date.now() - startMs) / 1000, cpuMs: readCpuMs(reading.pid) };
    await sleep(IDLE_MS);
    const idle = { cpu: (readCpuMs(reading.pid) - connect.cpuMs) / IDLE_MS, rss: readMemory(reading.pid).rssBytes };

    // A machine that is too busy does not answer the pings within 5 s: then nothing can be measured.
    expect(await read(reading)).toMatchObject({ connected: streams, disconnects });

    const beforeMs = readCpuMs(reading.pid);
    const { offered, dropped } = await server.send({ count: BURST / streams, drop: true }, WAIT_MS);
    const counts = await waitUntil(reading, (now) => now.alerts + dropped >= offered || now.disconnects > disconnects);
    const perAlertUs = ((readCpuMs(reading.pid) - beforeMs) / offered) * 1000;
    console.log(
      JSON.stringify({
        streams,
        kind,
        connectSeconds: connect.seconds,
        connectCpuMs: connect.cpuMs,
        rssMiB: Math.round(idle.rss / 2 ** 20),
        idleCpuPercent: Number((idle.cpu * 100).toFixed(1)),
        offered,
        dropped,
        perAlertUs: Number(perAlertUs.toFixed(1)),
        peakMiB: Math.round(readMemory(reading.pid).peakBytes / 2 ** 20),
      }),
    );
    expect(offered).toBe(BURST);
    expect(dropped).toBe(0);
    expect(counts).toMatchObject({ connected: streams, alerts: offered, rejected: 0, disconnects, problem: "" });
  });
});
