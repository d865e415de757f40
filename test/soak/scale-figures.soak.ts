// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Figures of one, two and four readers for docs/scaling.md: alerts as fast as they are read from four nodes, one owner, a
// real NATS server and a real API server. It prints alerts a second in all, processor time per alert, messages, and the
// time until a new violation is in its report. `READERS=1,2` runs a part.

import { afterEach, expect, test } from "vitest";
import { type AlertSource, ensureAlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { readCpuMs } from "../../bench/support/process-stat.ts";
import { pickIndex } from "../../src/scale/leases/rendezvous.ts";
import { applyDaemonPod, DAEMON_PORT } from "../../tools/cluster/kubearmor-pods.ts";
import { NatsServer } from "../../tools/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import type { OperatorProcess } from "../support/operator.ts";
import { useCluster } from "../support/real-parts.ts";
import { sumOccurrences } from "../support/reports.ts";
import { ScaleRun } from "../support/scale/scale-run.ts";

const READERS = (process.env["READERS"] ?? "1,2,4").split(",").map(Number);
const ALERTS_PER_NODE = Number(process.env["ALERTS"] ?? 100_000);
const SHARDS = 4;
const WAIT_MS = 120_000;
/** The defaults: processes that want more than the machine has must not lose their Leases. */
const LEASES = {
  PVO_LEADER_ELECTION_LEASE_DURATION_MS: "15000",
  PVO_LEADER_ELECTION_RENEW_DEADLINE_MS: "10000",
  PVO_LEADER_ELECTION_RETRY_PERIOD_MS: "2000",
};

/** Of the server's alerts. */
const NAMESPACES = [..."abcdefghij"].map((letter) => `team-aaa${letter}`);

const cluster = useCluster({ crds: true, namespaces: ["kubearmor", ...NAMESPACES] });
const servers: AlertSource[] = [];
let nats: NatsServer | undefined;
let run: ScaleRun | undefined;

afterEach(async () => {
  await run?.stop();
  for (const server of servers.splice(0)) await server.stop();
  await nats?.stop();
});

/** Name of a node of the shard. */
function nameNode(shard: number): string {
  for (let i = 0; ; i++) if (pickIndex(`node-${i}`, SHARDS) === shard) return `node-${i}`;
}

async function sum(processes: readonly OperatorProcess[], name: string): Promise<number> {
  const values = await Promise.all(processes.map((one) => one.readMetric(name)));
  return values.reduce((total, value) => total + value, 0);
}

test.each(READERS)("%i readers", async (readers) => {
  nats = await NatsServer.start();
  const scale = new ScaleRun({ cluster, nats, nodes: 0 });
  run = scale;
  const program = await ensureAlertSource();
  for (let shard = 0; shard < SHARDS; shard++) {
    const ip = `127.80.0.${shard + 1}`;
    servers.push(await startAlertSource(program, { listen: `${ip}:${DAEMON_PORT}`, daemon: true }));
    await applyDaemonPod(cluster, { name: `kubearmor-${shard}`, ip, node: nameNode(shard) });
  }
  const owner = scale.startOwner(LEASES);
  for (let i = 0; i < readers; i++) scale.startReader(LEASES);
  await eventually("shards for every reader", async () => {
    const held = await Promise.all(scale.readers.map((one) => one.readMetric("scale_parts_held")));
    return held.every((count) => count === SHARDS / readers);
  });
  await Promise.all(servers.map((server) => server.clients(1)));
  const pids = scale.readers.map(({ child }) => child.pid as number);
  const usedMs = () => pids.reduce((total, pid) => total + readCpuMs(pid), 0);

  // A new violation in every report, on an idle machine.
  const firstMs = Date.now();
  await servers[0]?.send({ count: 1 });
  await eventually("a report", async () => sumOccurrences(await scale.listReports()) === 1);
  const latencyMs = Date.now() - firstMs;

  const before = { cpuMs: usedMs(), messages: await sum(scale.readers, "scale_messages_total"), ms: Date.now() };
  const sent = await Promise.all(servers.map((server) => server.send({ count: ALERTS_PER_NODE }, WAIT_MS)));
  const offered = sent.reduce((total, { offered }) => total + offered, 0);
  await eventually(
    "all alerts",
    async () => (await sum(scale.readers, "alerts_received_total")) === offered + 1,
    WAIT_MS,
  );
  const seconds = (Date.now() - before.ms) / 1000;
  const readerCpuMs = usedMs() - before.cpuMs;
  const messages = (await sum(scale.readers, "scale_messages_total")) - before.messages;
  await eventually(
    "all in the reports",
    async () => sumOccurrences(await scale.listReports()) === offered + 1,
    WAIT_MS,
  );
  console.log(
    JSON.stringify({
      readers,
      alertsPerSecond: Math.round(offered / seconds),
      readerUsPerAlert: Number(((readerCpuMs / offered) * 1000).toFixed(1)),
      messagesPerSecond: Number((messages / seconds).toFixed(1)),
      ownerCpuMs: readCpuMs(owner.child.pid as number),
      latencyMs,
    }),
  );
  expect(sumOccurrences(await scale.listReports())).toBe(offered + 1);
});
