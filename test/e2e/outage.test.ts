// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas, an API server that is gone for longer than the Lease, and one of the two killed meanwhile: the other one
// has read everything and is the one that writes, so that nothing is lost. Long: `npm run soak -- test/soak/outage.soak.ts`.

import { afterEach, beforeEach, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { runOutage } from "../support/outage-run.ts";
import { describeReal } from "../support/real-parts.ts";
import { prepare } from "../support/replicas.ts";

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
    test(`the ${victim} is killed meanwhile and started again: nothing lost, nothing twice`, async () => {
      const { sent, sentInOutage, told, ...rest } = await runOutage(cluster, { victim, ratePerSec: 1000, seconds: 4 });
      expect(told).toEqual(rest.expected);
      expect(rest.coverages).toEqual(Array(7).fill({ gaps: 0, lowerBound: false }));
      expect(rest.fell).toEqual([]);
      expect(rest.isHeirTheSurvivor).toBe(true);
      expect(sent).toBeGreaterThan(sentInOutage);
    }, 600_000);
  }
});
