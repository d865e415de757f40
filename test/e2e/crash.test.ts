// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One replica that is killed with SIGKILL at random moments under load, on a real API server: the reports hold what the
// node delivered, less what was in the socket and in the last batch, and every restart is declared.

import { afterEach, expect, test } from "vitest";
import { createCrashRun } from "../support/crash/crash-run.ts";
import { printFigures } from "../support/long-run.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

const KILLS = Number(process.env["KILLS"] ?? 4);
const OUTAGE_SECONDS = Number(process.env["OUTAGE_SECONDS"] ?? 6);
const SEED = Number(process.env["SEED"] ?? Date.now() % 100_000);
const RATE = 1000;
const MAX_RSS = 256 * 2 ** 20;

describeReal(`a crash (seed ${SEED})`, () => {
  const cluster = useCluster({ crds: true, namespaces: ["shop", "bank"] });
  let run: Awaited<ReturnType<typeof createCrashRun>>;

  afterEach(async () => {
    await run.stop();
    await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
  });

  async function start(): Promise<void> {
    run = await createCrashRun(cluster, { ratePerSec: RATE, seed: SEED });
    await run.start();
  }

  test(`at ${KILLS} random moments costs what came since the last batch, and nothing before it`, async () => {
    await start();
    for (let kill = 0; kill < KILLS; kill++) await run.killOnce();
    const outcome = await run.finish();
    printFigures(outcome);
    expect(outcome.problems).toEqual([]);
    expect(outcome.reported).toBeGreaterThan(0);
  });

  test(`while the API server is gone for ${OUTAGE_SECONDS} s costs no more either: the journal has it all`, async () => {
    const waitForHalf = () => run.waitForDelivered((RATE * OUTAGE_SECONDS) / 2, OUTAGE_SECONDS * 1000);
    await start();
    await run.waitForDelivered(RATE);
    await run.stopApiServer();
    await waitForHalf();
    await run.killOnce();
    await waitForHalf();
    await run.startApiServer();
    const outcome = await run.finish();
    printFigures(outcome);
    expect(outcome.problems).toEqual([]);
    expect(outcome.recovered).toBeGreaterThan(RATE);
    expect(outcome.peakRss).toBeLessThan(MAX_RSS);
  });
});
