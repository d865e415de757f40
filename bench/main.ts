// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run bench`: the whole pipeline against a bare gRPC client that throws the alerts away, in turn, from the same
// server. Numbers of one machine mean little; the ratio is what travels.
// Arguments: [alerts per run, default 300000] [rounds, default 5].

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** What a client prints at its end. */
interface Result {
  alerts: number;
  /** From the first alert to the last, in milliseconds. */
  elapsedMs: number;
  /** Of the client's process in that time, in microseconds. */
  cpuUs: number;
  rssBytes: number;
  writes?: number;
}

const ROOT = join(import.meta.dirname, "..");
const count = Number(process.argv[2] ?? 300_000);
const rounds = Number(process.argv[3] ?? 5);

function start(script: string, args: readonly string[]) {
  return spawn(process.execPath, [join(ROOT, script), ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

async function firstLine<T>(stdout: Readable): Promise<T> {
  const [line] = (await once(createInterface(stdout), "line")) as [string];
  return JSON.parse(line) as T;
}

async function run(client: string): Promise<Result> {
  const args = ["--count", String(count), "--lossless", "--wait-for-client", "--die-with-parent"];
  const server = start("test/kubearmor-node/main.ts", args);
  try {
    const { listening } = await firstLine<{ listening: string }>(server.stdout);
    const process = start(`bench/${client}-client.ts`, [listening, String(count)]);
    return await firstLine<Result>(process.stdout);
  } finally {
    server.kill();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

const CLIENTS = ["bare", "pipeline"] as const;
const results: Record<(typeof CLIENTS)[number], Result[]> = { bare: [], pipeline: [] };
for (let round = 0; round < rounds; round++) {
  for (const client of CLIENTS) results[client].push(await run(client));
}

const perSecond = (r: Result) => (r.alerts / r.elapsedMs) * 1000;
const cpuPerAlert = (r: Result) => r.cpuUs / r.alerts;
for (const client of CLIENTS) {
  const all = results[client];
  const rate = Math.round(median(all.map(perSecond)) / 1000);
  const cpu = median(all.map(cpuPerAlert)).toFixed(2);
  const rss = Math.round(median(all.map((r) => r.rssBytes)) / 1024 / 1024);
  const writes = median(all.map((r) => r.writes ?? 0));
  process.stdout.write(
    `${client.padEnd(10)}${rate} k alerts/s   ${cpu} µs CPU/alert   ${rss} MiB   ${writes} writes\n`,
  );
}
const ratios = results.pipeline.map((r, i) => perSecond(r) / perSecond(results.bare[i] ?? r));
process.stdout.write(
  `pipeline / bare: ${median(ratios).toFixed(2)} (alerts/s, median of ${rounds} rounds of ${count})\n`,
);
