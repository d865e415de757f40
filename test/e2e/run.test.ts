// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The main job as a user runs it: `run` as a process, a KubeArmor node over gRPC, a real API server.

import { afterEach, beforeAll, expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLE_REPORTS, SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { OperatorProcess, readReconciledCounters } from "../support/operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports, report, row, sumOccurrences } from "../support/reports.ts";

const FLOOD = readAlerts(SAMPLES_PATH)[0]!;

describeReal("run", () => {
  const cluster = useCluster({ crds: true });
  let node: KubeArmorNode;
  let operator: OperatorProcess;

  beforeAll(async () => {
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
  });

  afterEach(async () => {
    await operator?.kill();
    await node?.stop();
    await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
    await cluster.kubectl(["delete", "cpvr", "--all", "--wait=true"]);
  });

  async function start(env: Record<string, string> = {}, dropLikeKubeArmor = false): Promise<void> {
    node = await startNode({ dropLikeKubeArmor });
    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: node.address, env });
    await node.waitForClients();
  }

  test("the 26 samples become the 23 reports of the table, and Events that kubectl shows", async () => {
    await start();
    node.push(readAlerts(SAMPLES_PATH));
    await operator.waitForReported(26);
    const reports = await listReports(cluster);
    expect(reports.map(row)).toEqual(SAMPLE_REPORTS);
    expect(sumOccurrences(reports)).toBe(25);
    expect(await readReconciledCounters(operator)).toEqual({ received: 26, counted: 25 });

    const pod = "wordpress-787f45786f-2q9wf";
    const events = await eventually("both Events of the pod", async () => {
      const text = await cluster.kubectl(["events", "--for", `pod/${pod}`, "-n", "wordpress-mysql"]);
      return text.split("PolicyViolationPrevented").length === 3 && text;
    });
    expect(events).toContain("Process /usr/bin/apt by /bin/bash in container wordpress was blocked");
    const described = await cluster.kubectl(["describe", "pod", pod, "-n", "wordpress-mysql"]);
    expect(described).toContain("policy harden-wordpress-pkg-mngr-exec (severity 5)");
    const throttled = await eventually("the throttle notice's Event", async () => {
      const text = await cluster.kubectl(["get", "events", "-n", "wordpress-mysql"]);
      return text.includes("AlertsThrottled") && text;
    });
    expect(throttled).toContain("KubeArmor throttled the alerts of this container wordpress for up to 30 s");
    expect(await operator.stop()).toBe(0);
  });

  test("100,000 alerts of one violation at full speed: an exact count in a handful of writes", async () => {
    await start();
    const memoryBefore = await operator.readMemory();
    await node.flood({ alert: FLOOD, count: 100_000 });
    await operator.waitForReported(100_000);
    const found = await report(cluster, "default", "block-pkg-mgmt-tools-exec");
    expect(found?.summary).toMatchObject({ occurrences: 100_000, prevented: 100_000, violations: 1, pods: 1 });
    expect(found?.coverage).toMatchObject({ gaps: 0, throttleNotices: 0, lowerBound: false });
    const writes = (await operator.readMetrics()).get('policy_violation_report_writes_total{result="written"}');
    expect(writes).toBeLessThanOrEqual(6);
    // create, then patches at 2 or more, and at powers of ten that are crossed: never one per alert.
    expect(await operator.readMetric("events_sent_total")).toBeLessThanOrEqual(8);
    const memoryAfter = await operator.readMemory();
    expect(memoryAfter - memoryBefore).toBeLessThan(150 * 1024 * 1024);
  });

  test("an operator that stands still for some seconds, so that KubeArmor drops alerts: the report says so", async () => {
    await start({}, true);
    await node.flood({ alert: FLOOD, count: 100 });
    await operator.waitForReported(100);
    operator.child.kill("SIGSTOP");
    // Longer than the bound of 5 s, and more than all buffers on the way hold.
    await node.flood({ alert: FLOOD, ratePerSec: 4000, count: 32_000 });
    operator.child.kill("SIGCONT");
    await operator.waitForMetric('stream_gaps_total{kind="Stalled"}', 1);
    await node.waitUntilDrained();
    const { sent, dropped } = node.getStats();
    expect([sent + dropped, dropped > 0]).toEqual([32_100, true]);
    await operator.waitForReported(sent);
    expect(await operator.readMetric('stream_gaps_total{kind="Stalled"}')).toBe(1);
    const found = await report(cluster, "default", "block-pkg-mgmt-tools-exec");
    expect(found?.summary.occurrences).toBe(sent);
    expect(found?.coverage).toMatchObject({ gaps: 1, lowerBound: true, recent: [{ kind: "Stalled" }] });
    expect(found?.coverage.recent?.[0]?.seconds).toBeGreaterThanOrEqual(6);
  });

  test("a node that dies, a stream that ends with OK, an API server that is gone: exact, with the gaps declared", async () => {
    await start({ PVO_FEED_RELAY_RECONNECT_MAX_MS: "500" });
    await node.flood({ alert: FLOOD, count: 1000 });
    await operator.waitForReported(1000);

    await node.stop();
    await eventually("a gap", async () => (await operator.readMetric("stream_gaps_total")) === 1);
    await node.start();
    await node.waitForClients();
    await node.flood({ alert: FLOOD, count: 1000 });
    await operator.waitForReceived(2000);

    node.endStreams();
    await eventually("two gaps", async () => (await operator.readMetric("stream_gaps_total")) === 2);
    await node.waitForClients();
    await operator.waitForWritten();
    await eventually("the gaps in the report", async () => {
      const found = await report(cluster, "default", "block-pkg-mgmt-tools-exec");
      return found?.coverage.gaps === 2 && found.coverage.lowerBound && found.coverage.continuousSince !== undefined;
    });

    await cluster.stopApiServer();
    await node.flood({ alert: FLOOD, count: 1000 });
    await operator.waitForReceived(3000);
    await eventually("a write that failed", async () => (await operator.readMetric("api_retries_total")) > 0);
    await cluster.startApiServer();
    await operator.waitForWritten(120_000);
    const found = await report(cluster, "default", "block-pkg-mgmt-tools-exec");
    expect(found?.summary.occurrences).toBe(3000);
    expect(found?.coverage).toMatchObject({ gaps: 2, lowerBound: true });
    await readReconciledCounters(operator);
  });

  test("a restart continues the counts and declares the gap; SIGTERM writes what is left", async () => {
    await start({ PVO_REPORTS_MIN_INTERVAL_MS: "60000" });
    await node.flood({ alert: FLOOD, count: 500 });
    await operator.waitForReceived(500);
    expect(await operator.stop()).toBe(0);
    expect((await report(cluster, "default", "block-pkg-mgmt-tools-exec"))?.summary.occurrences).toBe(500);

    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: node.address });
    await operator.waitForMetric("reports_held", 1);
    await node.waitForClients();
    await node.flood({ alert: FLOOD, count: 250 });
    await operator.waitForReported(250);
    const found = await report(cluster, "default", "block-pkg-mgmt-tools-exec");
    expect(found?.summary).toMatchObject({ occurrences: 750, violations: 1 });
    expect(found?.coverage).toMatchObject({ gaps: 1, lowerBound: true });
  });

  test("people's labels survive, a deleted report starts from zero, a namespace that goes moves to the cluster", async () => {
    await start({ PVO_REPORTS_MIN_INTERVAL_MS: "100" });
    await cluster.kubectl(["create", "namespace", "leaving"]);
    const leaving = { ...FLOOD, NamespaceName: "leaving" };
    await node.flood({ alert: [FLOOD, leaving], count: 20 });
    await operator.waitForReported(20);
    const name = "block-pkg-mgmt-tools-exec";

    await cluster.kubectl(["label", "pvr", name, "team=web"]);
    await cluster.kubectl(["annotate", "pvr", name, "note=seen"]);
    await node.flood({ alert: FLOOD, count: 5 });
    await eventually("15 in the labeled report", async () => {
      const found = await report(cluster, "default", name);
      return (
        found?.summary.occurrences === 15 &&
        found.metadata.labels?.["team"] === "web" &&
        found.metadata.annotations?.["note"] === "seen"
      );
    });

    await cluster.kubectl(["delete", "pvr", name]);
    await node.flood({ alert: FLOOD, count: 3 });
    await eventually(
      "3 in the new report",
      async () => (await report(cluster, "default", name))?.summary.occurrences === 3,
    );

    await cluster.kubectl(["delete", "namespace", "leaving", "--wait=true"]);
    await node.flood({ alert: leaving, count: 7 });
    const moved = await eventually("7 in the cluster report", async () => {
      const found = await report(cluster, undefined, name);
      return found?.summary.occurrences === 7 && found;
    });
    expect(moved.violations[0]).toMatchObject({ namespace: "leaving", node: "ip-172-31-24-142", occurrences: 7 });
    await readReconciledCounters(operator);
  });
});
