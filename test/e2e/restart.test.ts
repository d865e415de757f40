// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A lone replica that is replaced by a process of another identity, under load, with many violations stored: it leads
// as soon as the Lease allows, and counts every alert that it reads meanwhile.

import { afterEach, expect, test } from "vitest";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { makeAlert, spread } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { eventually } from "../support/eventually.ts";
import { type LogLine, OperatorProcess } from "../support/operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports, sumOccurrences } from "../support/reports.ts";

const REPORTS = 250;
const VIOLATIONS = 100;
/** Of a busy machine. */
const PATIENCE_MS = 240_000;
/** 25,000 violations, one alert of each in turn. */
const LOAD = Array.from({ length: REPORTS }, (_, i) =>
  spread([makeAlert({ PolicyName: `policy-${i}` })], 1, VIOLATIONS),
).flat();

describeReal("a lone replica", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor", "shop"] });
  let node: KubeArmorNode;
  let operator: OperatorProcess | undefined;

  afterEach(async () => {
    await operator?.kill();
    await node.stop();
    await cluster.kubectl(["delete", "pvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "lease", "-n", "kubearmor", "--all"]);
  });

  async function startOperator(): Promise<OperatorProcess> {
    operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: node.address,
      leaderElection: true,
      env: { PVO_REPORTS_WRITES_PER_SECOND: "100" },
    });
    await operator.waitForMetric("stream_up", 1, PATIENCE_MS);
    return operator;
  }

  /** Reports with all violations, written by a replica that then ends. */
  async function storeReports(end: "stop" | "kill"): Promise<void> {
    node = await startNode({ dropLikeKubeArmor: false });
    const first = await startOperator();
    await node.flood({ alert: LOAD, count: LOAD.length, ratePerSec: 10_000 });
    await first.waitForReceived(LOAD.length);
    await first.waitForWritten(PATIENCE_MS);
    await first[end]();
  }

  test("after a crash leads when the Lease has expired, and forgets nothing of what it read while it waited", async () => {
    await storeReports("kill");
    const next = await startOperator();
    await node.flood({ alert: LOAD, count: LOAD.length, ratePerSec: 4000 });
    await next.waitForReceived(LOAD.length);
    await eventually("loaded", () => findLoaded(next), PATIENCE_MS);
    await next.waitForWritten(PATIENCE_MS);
    expect(await next.readMetric("standby_alerts_evicted_total")).toBe(0);
    expect(sumOccurrences(await listReports(cluster))).toBe(2 * LOAD.length);
  }, 600_000);

  test("after an orderly stop leads at its first look at the Lease, and keeps no single alert", async () => {
    await storeReports("stop");
    const startMs = Date.now();
    const next = await startOperator();
    const flood = node.flood({ alert: LOAD, count: LOAD.length, ratePerSec: 4000 });
    await next.waitForMetric("leader", 1, PATIENCE_MS);
    // The look, and the update that takes it.
    expect(listLeaseRequests(cluster, startMs).slice(0, 2)).toEqual(["get", "update"]);
    expect(await eventually("loaded", () => findLoaded(next), PATIENCE_MS)).not.toHaveProperty("takenOver");
    await flood;
    await next.waitForReceived(LOAD.length);
    await next.waitForWritten(PATIENCE_MS);
    expect(await next.readMetric("standby_alerts_already_reported_total")).toBe(0);
    expect(sumOccurrences(await listReports(cluster))).toBe(2 * LOAD.length);
  }, 600_000);
});

/** The line of a replica that has loaded the stored reports. */
function findLoaded({ log }: OperatorProcess): LogLine | undefined {
  return log.find(({ reports }) => reports === REPORTS);
}

function listLeaseRequests(cluster: Cluster, sinceMs: number): string[] {
  return cluster
    .auditEntries()
    .filter(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp) >= sinceMs)
    .filter(({ objectRef, userAgent }) => objectRef?.resource === "leases" && /policy-violation/.test(userAgent ?? ""))
    .map(({ verb }) => verb);
}
