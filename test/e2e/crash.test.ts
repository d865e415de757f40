// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One replica that is killed with SIGKILL at random moments under load, on a real API server: the reports hold what the
// node delivered, less what was in the socket and in the last batch, and every restart is declared.

import { afterEach, expect, test } from "vitest";
import { CrashRun } from "../support/crash-run.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

describeReal("a crash", () => {
  const cluster = useCluster({ crds: true, namespaces: ["shop", "bank"] });
  let run: CrashRun | undefined;

  afterEach(async () => {
    await run?.stop();
    run = undefined;
    await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
  });

  test("at a few random moments costs what came since the last batch, and nothing before it", async () => {
    run = new CrashRun(cluster, { ratePerSec: 1000, seed: Number(process.env["SEED"] ?? Date.now() % 100_000) });
    await run.start();
    for (let kill = 0; kill < 4; kill++) await run.killOnce();
    const outcome = await run.finish();
    expect(outcome.problems, `seed ${run.seed}`).toEqual([]);
    expect(outcome.told, `seed ${run.seed}`).toBeGreaterThan(0);
  });

  test("while the API server is gone costs no more either: the journal has it all", async () => {
    run = new CrashRun(cluster, { ratePerSec: 1000, seed: Number(process.env["SEED"] ?? Date.now() % 100_000) });
    await run.start();
    await run.waitForDelivered(1000);
    await run.stopApiServer();
    await run.waitForDelivered(3000);
    await run.killOnce();
    await run.waitForDelivered(3000);
    await run.startApiServer();
    const outcome = await run.finish();
    expect(outcome.problems, `seed ${run.seed}`).toEqual([]);
    expect(outcome.recovered, `seed ${run.seed}`).toBeGreaterThan(1000);
  });
});
