// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart's ServiceAccount has the rights that the main job needs, and no others: the operator runs with its token,
// and the audit log shows what was used and what was refused.

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLE_REPORTS, SAMPLES_PATH } from "../../tools/samples.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { installOpenReports } from "../support/openreports/openreports.ts";
import { OperatorProcess } from "../support/operator.ts";
import { installPolicyCrds } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports, row } from "../support/reports.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

describeReal("the chart's rights", () => {
  const cluster = useCluster();

  beforeAll(async () => {
    await cluster.helm(["install", "pvo", CHART, "--namespace", "kubearmor", "--create-namespace"]);
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
    await installPolicyCrds(cluster);
    await installOpenReports(cluster);
  });

  /** Every verb and resource that the account was granted, as "verb group/resource". */
  async function readGrants(account: string): Promise<Set<string>> {
    const roles = JSON.parse(
      await cluster.kubectl(["get", "clusterroles,roles", "-A", "-o", "json", "-l", "app.kubernetes.io/instance=pvo"]),
    ) as { items: { kind: string; metadata: { name: string; labels?: Record<string, string> }; rules: Rule[] }[] };
    const bound = roles.items.filter(
      ({ metadata }) => !Object.keys(metadata.labels ?? {}).some((key) => key.includes("aggregate-to")),
    );
    expect(bound.length, account).toBeGreaterThan(0);
    return new Set(
      bound.flatMap(({ rules }) =>
        rules.flatMap((rule) =>
          rule.resources.flatMap((resource) => rule.verbs.map((verb) => `${verb} ${rule.apiGroups[0]}/${resource}`)),
        ),
      ),
    );
  }

  test("the whole main job runs with it, nothing is refused, and nothing is granted that is not used", async () => {
    const name = "pvo-policy-violation-operator";
    const kubeconfig = cluster.kubeconfigFor(await cluster.createServiceAccountToken("kubearmor", name));
    const node = await startNode({ dropLikeKubeArmor: false });
    const start = (pod: string, env: Record<string, string> = {}) =>
      new OperatorProcess({
        kubeconfig,
        relay: node.address,
        leaderElection: true,
        env: { POD_NAMESPACE: "kubearmor", POD_NAME: `${name}-6d4f8c7b9d-${pod}`, ...env },
      });
    const operator = start("x7k2p", {
      PVO_REPORTS_MIN_INTERVAL_MS: "200",
      PVO_OPEN_REPORTS_MIN_INTERVAL_MS: "200",
      PVO_EVENTS_MIN_GAP_MS: "100",
    });
    let sweeper: OperatorProcess | undefined;
    let standby: OperatorProcess | undefined;
    try {
      await operator.waitUntilLeading();
      standby = start("b8m4q");
      await node.waitForClients(2);
      await eventually("a standby that follows", async () => (await standby?.get("/readyz"))?.status === 200);
      expect(await standby.stop()).toBe(0);
      node.push(readAlerts(SAMPLES_PATH));
      await operator.waitForReported(26);
      const spec = { match: { policy: "no-such-policy" }, reason: "to have a status written" };
      await cluster.apply(renderAcceptance("nothing", spec, "default"));
      await eventually("a status", async () =>
        (await cluster.kubectl(["get", "av", "-A", "-o", "json"])).includes("observedGeneration"),
      );
      expect((await listReports(cluster)).map(row)).toEqual(SAMPLE_REPORTS);
      // A repeat patches an Event; a label on a report is a conflict, which is read.
      await cluster.kubectl(["label", "pvr,cpvr", "-A", "--all", "team=web"]);
      await node.flood({ alert: readAlerts(SAMPLES_PATH), count: 260 });
      await operator.waitForReported(286);
      await eventually("an Event that was patched", async () =>
        (await operator.readMetrics()).get('policy_violation_api_requests_total{verb="PATCH",code="OK"}'),
      );
      await eventually("OpenReports copies of both kinds that were updated", async () => {
        const updates = ["reports", "clusterreports"].filter((resource) =>
          cluster.auditEntries().some(({ verb, objectRef }) => verb === "update" && objectRef?.resource === resource),
        );
        return updates.length === 2;
      });
      const [sample] = readAlerts(SAMPLES_PATH);
      for (let i = 0; i < 200; i++) node.push({ ...sample, NamespaceName: `nowhere-${i}` });
      await eventually("a list of namespaces", async () =>
        cluster.auditEntries().some(({ verb, objectRef }) => verb === "list" && objectRef?.resource === "namespaces"),
      );
      await operator.waitForReported(486);
      await node.stop();
      const described = await eventually("the gap on the Deployment", async () => {
        const text = await cluster.kubectl(["describe", "deployment", "-n", "kubearmor", name]);
        return text.includes("StreamGap") ? text : undefined;
      });
      expect(described).toContain("KubeArmor's alert stream is down");
      expect(await operator.stop()).toBe(0);
      sweeper = start("x7k2p", { PVO_REPORTS_RETENTION_MS: "1000", PVO_REPORTS_RETENTION_SWEEP_MS: "200" });
      await eventually("no report", async () => (await listReports(cluster)).length === 0, 60_000);
      expect(await sweeper.stop()).toBe(0);
    } finally {
      await operator.kill();
      await sweeper?.kill();
      await standby?.kill();
      await node.stop();
    }
    const user = `system:serviceaccount:kubearmor:${name}`;
    const entries = cluster.auditEntries().filter((entry) => entry.user.username === user);
    const refused = entries.filter((entry) => entry.responseStatus?.code === 403);
    expect(refused.map((entry) => `${entry.verb} ${entry.requestURI}`)).toEqual([]);
    expect(entries.every((entry) => entry.userAgent?.startsWith("policy-violation-operator/"))).toBe(true);
    const used = new Set(
      entries.map(({ verb, objectRef }) => {
        const resource = [objectRef?.resource, objectRef?.subresource].filter((part) => part).join("/");
        return `${verb} ${objectRef?.apiGroup ?? ""}/${resource}`;
      }),
    );
    expect([...used].sort()).toEqual([...(await readGrants(name))].sort());
  });
});
