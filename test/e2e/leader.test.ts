// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A replica under leader election that is alone: it must not give up what only it has read.

import { expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const ALERT = readAlerts(SAMPLES_PATH)[0]!;
const LEASE = {
  PVO_LEADER_ELECTION_LEASE_DURATION_MS: "5000",
  PVO_LEADER_ELECTION_RENEW_DEADLINE_MS: "3000",
  PVO_LEADER_ELECTION_RETRY_PERIOD_MS: "500",
  PVO_REPORTS_MIN_INTERVAL_MS: "200",
};

describeReal("the only candidate", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor"] });
  const bed = useNode(cluster, { dropLikeKubeArmor: false });

  test("an API server that is gone for longer than the Lease: the only leader counts on, leads again, writes all", async () => {
    const { node } = bed;
    const leader = await bed.start({ leaderElection: true, env: LEASE });
    await node.flood({ alert: ALERT, count: 100 });
    await leader.waitForReported(100);
    await cluster.stopApiServer();
    await node.flood({ alert: ALERT, count: 50 });
    await leader.waitForMetric("leader", 0);
    await node.flood({ alert: ALERT, count: 25 });
    await leader.waitForReceived(175);
    await cluster.startApiServer();
    await leader.waitForWritten(120_000);
    const { summary, coverage } = (await report(cluster, "default", "block-pkg-mgmt-tools-exec")) ?? {};
    expect([summary?.occurrences, coverage?.gaps]).toEqual([175, 0]);
  });
});
