// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The long form of test/e2e/crash.test.ts: many kills, and an API server that is gone for long.

import { afterEach, expect, test } from "vitest";
import { CrashRun } from "../support/crash-run.ts";
import { useCluster } from "../support/real-parts.ts";

const KILLS = Number(process.env["KILLS"] ?? 100);
const OUTAGE_SECONDS = Number(process.env["OUTAGE_SECONDS"] ?? 600);
const MAX_RSS = 256 * 2 ** 20;
const RATE = 1000;

const cluster = useCluster({ crds: true, namespaces: ["shop", "bank"] });
let run: CrashRun | undefined;

afterEach(async () => {
  await run?.stop();
  await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
});
function createRun(): CrashRun {
  run = new CrashRun(cluster, { ratePerSec: RATE, seed: Number(process.env["SEED"] ?? Date.now() % 100_000) });
  return run;
}

test(`killed ${KILLS} times at ${RATE} alerts/s`, async () => {
  const crash = createRun();
  await crash.start();
  for (let kill = 0; kill < KILLS; kill++) await crash.killOnce();
  const outcome = await crash.finish();
  process.stdout.write(`${JSON.stringify({ seed: crash.seed, ...outcome })}\n`);
  expect(outcome.problems, `seed ${crash.seed}`).toEqual([]);
});

test(`the API server gone for ${OUTAGE_SECONDS} s at ${RATE} alerts/s, killed in the middle`, async () => {
  const crash = createRun();
  await crash.start();
  await crash.waitForDelivered(RATE);
  await crash.stopApiServer();
  await crash.waitForDelivered((RATE * OUTAGE_SECONDS) / 2, OUTAGE_SECONDS * 1000);
  await crash.killOnce();
  await crash.waitForDelivered((RATE * OUTAGE_SECONDS) / 2, OUTAGE_SECONDS * 1000);
  await crash.startApiServer();
  const outcome = await crash.finish();
  process.stdout.write(`${JSON.stringify({ seed: crash.seed, ...outcome })}\n`);
  expect(outcome.problems, `seed ${crash.seed}`).toEqual([]);
  expect(outcome.peakRss).toBeLessThan(MAX_RSS);
});
