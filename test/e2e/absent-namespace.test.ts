// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts of namespaces that the API server does not know, as of a cluster that KubeArmor sees and the operator does not.

import { expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const GONE = 'report_writes_total{result="namespace_gone"}';

describeReal("a namespace that does not exist", () => {
  const cluster = useCluster({ crds: true });
  const bed = useNode(cluster);

  test("is tried ever more rarely and logged once; its counts are in the cluster report", async () => {
    const { node } = bed;
    const operator = await bed.start({
      env: { PVO_REPORTS_MIN_INTERVAL_MS: "100", PVO_REPORTS_MAX_INTERVAL_MS: "200" },
    });
    const [sample] = readAlerts(SAMPLES_PATH);
    const place = { NamespaceName: "nowhere", Owner: { Ref: "Deployment", Name: "web", Namespace: "nowhere" } };
    // At this pace a report is written some ten times a second.
    for (let sent = 1; sent <= 40; sent++) {
      node.push({ ...sample, ...place, HostPID: sent, UpdatedTime: new Date().toISOString() });
      await operator.waitForReported(sent);
    }
    const stored = await eventually("the cluster report", async () => {
      const found = await report(cluster, undefined, "block-pkg-mgmt-tools-exec");
      return found?.summary.occurrences === 40 && found;
    });
    expect(stored.violations[0]?.namespace).toBe("nowhere");
    expect(await operator.readMetric(GONE)).toBeLessThanOrEqual(5);
    expect(operator.log.filter(({ namespace }) => namespace === "nowhere")).toHaveLength(1);
    // It appears: within the pause it has its reports.
    await cluster.kubectl(["create", "namespace", "nowhere"]);
    let sent = 40;
    await eventually("a report in the namespace", async () => {
      node.push({ ...sample, ...place, HostPID: ++sent, UpdatedTime: new Date().toISOString() });
      return await report(cluster, "nowhere", "block-pkg-mgmt-tools-exec");
    });
  });
});

describeReal("very many namespaces that do not exist", () => {
  const cluster = useCluster({ crds: true });
  const bed = useNode(cluster);

  test("do not keep the first report of one that exists waiting for a turn of each", async () => {
    const { node } = bed;
    const operator = await bed.start();
    const [sample] = readAlerts(SAMPLES_PATH);
    const send = (namespace: string) => {
      const Owner = { Ref: "Deployment", Name: "web", Namespace: namespace };
      node.push({ ...sample, NamespaceName: namespace, Owner, UpdatedTime: new Date().toISOString() });
    };
    let sent = 0;
    // 500 a second for 6 s before the alert, and until its report is there.
    const flood = setInterval(() => {
      for (let i = 0; i < 50; i++) send(`ghost-${sent++}`);
    }, 100);
    try {
      await eventually("many absent namespaces", () => Promise.resolve(sent >= 3000));
      send("default");
      await eventually("the report", () => report(cluster, "default", "block-pkg-mgmt-tools-exec"));
      expect(await operator.readMetric(GONE)).toBeLessThan(sent / 4);
    } finally {
      clearInterval(flood);
    }
    await operator.waitForReported(sent + 1);
  });
});
