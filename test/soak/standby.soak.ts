// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The long form of test/e2e/standby.test.ts: one stream, one set of reports, and one leader after another that is
// killed, stands still for longer than its Lease and goes on, or is stopped.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { eventually } from "../support/eventually.ts";
import type { OperatorProcess } from "../support/operator.ts";
import { useCluster } from "../support/real-parts.ts";
import {
  awaitCaughtUp,
  countExpected,
  countReported,
  LOAD,
  listCoverages,
  prepare,
  Replicas,
  watchCounts,
} from "../support/replicas.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 10);
const RATE = Number(process.env["RATE"] ?? 3000);
const MODES = ["killed", "frozen", "stopped"] as const;

const cluster = useCluster();
let node: KubeArmorNode;
let replicas: Replicas;

beforeAll(async () => {
  await prepare(cluster);
  // A frozen reader must not hold up the others.
  node = await startNode({ dropLikeKubeArmor: false, queueSize: 10_000_000 });
  replicas = new Replicas(node);
});
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(await replicas.formatState(cluster));
});
afterAll(async () => {
  await replicas?.end();
  await node?.stop();
});

/** Ends a leader in one of the ways, until the standby leads. */
async function replaceLeader(
  how: (typeof MODES)[number],
  leader: OperatorProcess,
  standby: OperatorProcess,
): Promise<void> {
  if (how === "killed") await leader.kill();
  if (how === "frozen") leader.child.kill("SIGSTOP");
  if (how === "stopped") expect(await leader.stop()).toBe(0);
  await standby.waitUntilLeading();
  if (how !== "frozen") return;
  leader.child.kill("SIGCONT");
  expect(await leader.waitForExit()).toBe(1);
}

test(`${ROUNDS} changes of leaders at ${RATE} alerts/s: nothing lost, nothing twice, nothing declared`, async () => {
  const counts = watchCounts(cluster);
  let [leader, standby] = await replicas.startPair(cluster.kubeconfigPath);
  const stop = new AbortController();
  const flooding = node.flood({ alert: LOAD, ratePerSec: RATE, signal: stop.signal });
  const changes: [how: string, ms: number][] = [];
  try {
    await eventually("all reports", async () => Object.keys(await countReported(cluster)).length >= 7);
    for (let round = 0; round < ROUNDS; round++) {
      const how = MODES[round % MODES.length] as (typeof MODES)[number];
      const startMs = Date.now();
      await replaceLeader(how, leader, standby);
      changes.push([how, Date.now() - startMs]);
      leader = standby;
      standby = replicas.start(cluster.kubeconfigPath);
      await awaitCaughtUp(standby);
    }
  } finally {
    stop.abort();
  }
  const sent = await flooding;
  const sum = async () => Object.values(await countReported(cluster)).reduce((a, b) => a + b, 0);
  await eventually(`${sent} reported`, async () => (await sum()) >= sent, 180_000);
  const { states, fell } = await counts.end();
  process.stdout.write(`${JSON.stringify({ sent, reported: await sum(), states, changes })}\n`);
  expect(await countReported(cluster)).toEqual(countExpected(sent));
  expect(await listCoverages(cluster)).toEqual(Array(7).fill({ gaps: 0, lowerBound: false }));
  expect(fell).toEqual([]);
  expect(states).toBeGreaterThan(7 * ROUNDS);
});
