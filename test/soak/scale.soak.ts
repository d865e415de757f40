// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers, owners, three NATS servers and the API server for minutes, each killed, frozen, cut off, added or removed at
// random moments while alerts arrive: each report has every alert that was raised, less those in gaps that it declares.
// `MINUTES=30 SEED=7` repeats a run.

import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { OperatorProcess } from "../support/operator.ts";
import { createRandom } from "../support/random.ts";
import { useCluster } from "../support/real-parts.ts";
import { sumOccurrences } from "../support/reports.ts";
import { NatsCluster } from "../support/scale/nats-cluster.ts";
import { ProcessNetwork, type Way } from "../support/scale/process-network.ts";
import { ScaleRun } from "../support/scale/scale-run.ts";

const MINUTES = Number(process.env["MINUTES"] ?? 10);
const SEED = Number(process.env["SEED"] ?? Date.now() % 100_000);
const MAX_REPLICAS = 3;

const cluster = useCluster({ crds: true, namespaces: ["kubearmor", "shop", "bank"] });
let nats: NatsCluster;
let run: ScaleRun;
/** Of each process that was ever started. */
const networks = new Map<OperatorProcess, ProcessNetwork>();
const random = createRandom(SEED);

afterEach(async () => {
  await run?.stop();
  for (const network of networks.values()) await network.stop();
  await nats?.stop();
});

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function filterAlive(processes: readonly OperatorProcess[]): OperatorProcess[] {
  return processes.filter(({ child }) => child.exitCode === null && child.signalCode === null);
}

/** A process that stands still for longer than its Leases: another one holds its parts when it goes on. */
async function freeze(one: OperatorProcess): Promise<void> {
  one.child.kill("SIGSTOP");
  await pause(4000 + random() * 16_000);
  one.child.kill("SIGCONT");
}

/** Gives each process a network of its own. */
async function start(kind: "reader" | "owner"): Promise<OperatorProcess> {
  const urls = nats.servers.map(({ url }) => url);
  const network = await ProcessNetwork.start(`network-${networks.size}`, cluster, urls);
  const started = kind === "reader" ? run.startReader({}, network) : run.startOwner({}, network);
  networks.set(started, network);
  return started;
}

async function cut(one: OperatorProcess, ...ways: Way[]): Promise<void> {
  const network = networks.get(one);
  for (const way of ways) network?.cut(way);
  await pause(2000 + random() * 18_000);
  for (const way of ways) network?.restore(way);
}

/** Of a repeated run, those of which the name has this text. */
const ONLY = process.env["ACTIONS"] ?? "";

const ACTIONS: Record<string, () => Promise<unknown>> = {
  "kill reader": () => pick(filterAlive(run.readers)).kill(),
  "kill owner": () => pick(filterAlive(run.owners)).kill(),
  "stop reader": () => pick(filterAlive(run.readers)).stop(),
  "stop owner": () => pick(filterAlive(run.owners)).stop(),
  "freeze reader": () => freeze(pick(filterAlive(run.readers))),
  "freeze owner": () => freeze(pick(filterAlive(run.owners))),
  "cut reader off API server": () => cut(pick(filterAlive(run.readers)), "api"),
  "cut reader off NATS": () => cut(pick(filterAlive(run.readers)), "nats"),
  "cut reader off both": () => cut(pick(filterAlive(run.readers)), "api", "nats"),
  "cut owner off API server": () => cut(pick(filterAlive(run.owners)), "api"),
  "cut owner off NATS": () => cut(pick(filterAlive(run.owners)), "nats"),
  "cut owner off both": () => cut(pick(filterAlive(run.owners)), "api", "nats"),
  "add reader": async () => filterAlive(run.readers).length < MAX_REPLICAS && (await start("reader")),
  "add owner": async () => filterAlive(run.owners).length < MAX_REPLICAS && (await start("owner")),
  "kill NATS": async () => {
    const server = pick(nats.servers);
    await server.kill();
    await pause(random() * 5000);
    await server.start();
  },
  "cut off NATS": async () => {
    const server = pick(nats.servers);
    server.freeze();
    await pause(random() * 15_000);
    server.thaw();
  },
  "kill all NATS": async () => {
    for (const server of nats.servers) await server.kill();
    await pause(random() * 5000);
    await Promise.all(nats.servers.map((server) => server.start()));
  },
  "kill API server": async () => {
    await cluster.stopApiServer();
    await pause(random() * 8000);
    await cluster.startApiServer();
  },
};

test(`killed at random for ${MINUTES} minutes, seed ${SEED}`, async () => {
  nats = await NatsCluster.start();
  run = new ScaleRun({ cluster, nats, replicas: 3, ratePerSec: 50, network: 80 });
  await run.start();
  await start("reader");
  await start("owner");
  await run.waitUntilRead();
  run.startFlood();
  await pause(8000);
  const endMs = Date.now() + MINUTES * 60_000;
  const done: Record<string, number> = {};
  while (Date.now() < endMs) {
    const name = pick(Object.keys(ACTIONS).filter((action) => action.includes(ONLY)));
    done[name] = (done[name] ?? 0) + 1;
    await ACTIONS[name]?.();
    await pause(random() * 4000);
    if (filterAlive(run.readers).length === 0) await start("reader");
    if (filterAlive(run.owners).length === 0) await start("owner");
    await run.noteGaps();
  }
  await pause(15_000);
  await run.stopFlood();
  const reported = await run.waitUntilSettled(20_000);
  const declared = await run.countDeclared();
  const problems = await run.findProblems();
  process.stdout.write(
    `${JSON.stringify({ seed: SEED, done, raised: run.raised.length, reported, inGaps: declared, problems })}\n`,
  );
  expect(problems, `seed ${SEED}`).toEqual([]);
  expect(sumOccurrences(await run.listReports())).toBe(reported);
});
