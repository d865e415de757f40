// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas, an API server that is gone for longer than the Lease, and one of the two killed meanwhile: the other one
// has read everything and is the one that writes, so that nothing is lost.

import { afterEach, beforeEach, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { printFigures } from "../support/long-run.ts";
import { runOutage } from "../support/outage-run.ts";
import { describeReal } from "../support/real-parts.ts";
import { prepare } from "../support/replicas.ts";

const OUTAGE_SECONDS = Number(process.env["OUTAGE_SECONDS"] ?? 4);
const RATE = Number(process.env["RATE"] ?? 1000);
/** Half of what the chart lets a container have. */
const MAX_RSS = 512 * 2 ** 20;

describeReal("an API server that is gone for long", () => {
  let cluster: Cluster;

  beforeEach(async () => {
    cluster = await startCluster();
    await prepare(cluster);
  });
  afterEach(async () => {
    await cluster?.stop();
  });

  for (const victim of ["leader", "standby"] as const) {
    test(
      `the ${victim} is killed meanwhile and started again: nothing lost, nothing twice`,
      async () => {
        const run = await runOutage(cluster, { victim, ratePerSec: RATE, seconds: OUTAGE_SECONDS });
        const { reported, expected, coverages, ...others } = run;
        printFigures({ victim, ...others });
        expect(reported).toEqual(expected);
        expect(coverages).toEqual(Array(7).fill({ gaps: 0, lowerBound: false }));
        expect(run).toMatchObject({ fell: [], isHeirTheSurvivor: true });
        expect(run.sent).toBeGreaterThan(run.sentInOutage);
        expect(run.peakRss).toBeLessThan(MAX_RSS);
      },
      600_000 + OUTAGE_SECONDS * 10_000,
    );
  }
});
