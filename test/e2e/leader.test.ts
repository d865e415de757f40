// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A replica under leader election that is alone: it must not give up what only it has read.

import { afterEach, expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { OperatorProcess } from "../support/operator.ts";
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
  let node: KubeArmorNode;
  const replicas: OperatorProcess[] = [];

  afterEach(async () => {
    for (const replica of replicas.splice(0)) await replica.kill();
    await node.stop();
    await cluster.kubectl(["delete", "pvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "lease", "-n", "kubearmor", "--all"]);
  });

  function startReplica(): OperatorProcess {
    const operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: node.address,
      leaderElection: true,
      env: LEASE,
    });
    replicas.push(operator);
    return operator;
  }

  const occurrences = async () => (await report(cluster, "default", "block-pkg-mgmt-tools-exec"))?.summary.occurrences;

  test("an API server that is gone for longer than the Lease: the only leader counts on, leads again, writes all", async () => {
    node = await startNode({ dropLikeKubeArmor: false });
    const leader = startReplica();
    await node.waitForClients();
    await node.flood({ alert: ALERT, count: 100 });
    await leader.waitForReceived(100);
    await leader.waitForWritten();
    await cluster.stopApiServer();
    await node.flood({ alert: ALERT, count: 50 });
    await leader.waitForLog("lost Lease, stopped writing");
    await node.flood({ alert: ALERT, count: 25 });
    await leader.waitForReceived(175);
    await cluster.startApiServer();
    await leader.waitForWritten(120_000);
    expect(await occurrences()).toBe(175);
    expect((await report(cluster, "default", "block-pkg-mgmt-tools-exec"))?.coverage).toMatchObject({ gaps: 0 });
  });
});
