// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The long form of test/e2e/outage.test.ts: an API server that is gone for ten minutes.

import { afterEach, beforeEach, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { runOutage } from "../support/outage-run.ts";
import { prepare } from "../support/replicas.ts";

const OUTAGE_SECONDS = Number(process.env["OUTAGE_SECONDS"] ?? 600);
const RATE = Number(process.env["RATE"] ?? 1000);
/** Half of what the chart lets a container have. */
const MAX_RSS = 512 * 2 ** 20;

let cluster: Cluster;

beforeEach(async () => {
  cluster = await startCluster();
  await prepare(cluster);
});
afterEach(async () => {
  await cluster?.stop();
});

for (const victim of ["leader", "standby"] as const) {
  test(`the API server gone for ${OUTAGE_SECONDS} s at ${RATE} alerts/s, the ${victim} of two killed in the middle`, async () => {
    const run = await runOutage(cluster, { victim, ratePerSec: RATE, seconds: OUTAGE_SECONDS });
    const { sent, sentInOutage, peakRss } = run;
    const told = Object.values(run.told).reduce((a, b) => a + b, 0);
    process.stdout.write(`${JSON.stringify({ victim, sent, sentInOutage, told, peakRss })}\n`);
    expect(run.told).toEqual(run.expected);
    expect(run.coverages).toEqual(Array(7).fill({ gaps: 0, lowerBound: false }));
    expect(run.fell).toEqual([]);
    expect(peakRss).toBeLessThan(MAX_RSS);
  });
}
