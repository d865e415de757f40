// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One replica that is killed with SIGKILL at random moments under load, on a real API server: what the reports tell is
// what the node delivered, less what was in the socket and in the last batch, and every restart is declared.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster, whyNoCluster } from "../../tools/cluster/cluster.ts";
import { CrashRun } from "../support/crash-run.ts";

const missing = whyNoCluster();

describe.skipIf(missing !== undefined && !process.env["CI"])(`a crash (${missing ?? "real parts"})`, () => {
  let cluster: Cluster;
  let run: CrashRun | undefined;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.applyCrds();
    for (const name of ["shop", "bank"]) await cluster.kubectl(["create", "namespace", name]);
  });
  afterEach(async () => {
    await run?.stop();
    run = undefined;
    await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  test("at a few random moments costs what came since the last batch, and nothing before it", async () => {
    run = new CrashRun(cluster, {
      ratePerSec: 1000,
      seed: Number(process.env["SEED"] ?? Date.now() % 100_000),
    });
    await run.start();
    for (let kill = 0; kill < 4; kill++) await run.killOnce();
    const outcome = await run.finish();
    expect(outcome.problems, `seed ${run.seed}`).toEqual([]);
    expect(outcome.told, `seed ${run.seed}`).toBeGreaterThan(0);
  });

  test("while the API server is gone costs no more either: the journal has it all", async () => {
    run = new CrashRun(cluster, {
      ratePerSec: 1000,
      seed: Number(process.env["SEED"] ?? Date.now() % 100_000),
    });
    await run.start();
    await run.delivered(1000);
    await run.stopApiServer();
    await run.delivered(3000);
    await run.killOnce();
    await run.delivered(3000);
    await run.startApiServer();
    const outcome = await run.finish();
    expect(outcome.problems, `seed ${run.seed}`).toEqual([]);
    expect(outcome.recovered, `seed ${run.seed}`).toBeGreaterThan(1000);
  });
});
