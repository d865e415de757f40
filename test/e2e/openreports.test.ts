// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// OpenReports as a user sees them: the operator as a process, the sample alerts, the real CRDs.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import {
  type Copied,
  installOpenReports,
  listOpenReports,
  toCopied,
  toExpectedCopy,
} from "../support/openreports/openreports.ts";
import { useNode } from "../support/operator-bed.ts";
import { installPolicyCrds, policy } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";

describeReal("OpenReports of the samples", () => {
  const cluster = useCluster({ crds: true });
  const bed = useNode(cluster, { dropLikeKubeArmor: false });

  beforeAll(async () => {
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
  });

  const start = (env: Record<string, string> = {}) =>
    bed.start({
      env: {
        PVO_OPEN_REPORTS_MIN_INTERVAL_MS: "500ms",
        PVO_REPORTS_MIN_INTERVAL_MS: "200ms",
        PVO_CLUSTER_NAME: "east",
        ...env,
      },
    });

  /** Waits until the copies are what the stored reports must become. */
  async function awaitCaughtUp(): Promise<Copied[]> {
    return await eventually("copies that equal the reports", async () => {
      const [reports, copies] = [await listReports(cluster), await listOpenReports(cluster)];
      const wanted = reports.map(toExpectedCopy).sort((a, b) => (a.path < b.path ? -1 : 1));
      const have = copies.map(toCopied);
      return JSON.stringify(have) === JSON.stringify(wanted) && have;
    });
  }

  const listIds = (copies: readonly Copied[]) => copies.flatMap(({ resultIds }) => resultIds).sort();

  // Each test continues from the cluster that the one before it left.
  let ids: string[] = [];

  test("appear with the CRDs, one for each report, with unique ids", async () => {
    const running = await start();
    bed.node.push(readAlerts(SAMPLES_PATH));
    await running.waitForReported(26);
    expect(await running.readMetric("openreports_served")).toBe(0);
    await installOpenReports(cluster);
    ids = listIds(await awaitCaughtUp());
    expect(ids.length).toBeGreaterThan(20);
    expect(new Set(ids).size).toBe(ids.length);
    const results = (await listOpenReports(cluster)).flatMap((copy) => copy.results);
    expect(results.every(({ severity, properties }) => severity && properties["cluster"] === "east")).toBe(true);
    const labeled = ["get", "pvr,cpvr", "-A", "-l", "reports.kubearmor.com/cluster=east", "-o", "name"];
    const names = (await cluster.kubectl(labeled)).trim().split("\n");
    expect(names).toHaveLength((await listReports(cluster)).length);
  });

  test("follow a change, with the same ids", async () => {
    await bed.node.flood({ alert: readAlerts(SAMPLES_PATH), count: 260 });
    await bed.operator.waitForReported(286);
    await eventually("counts of the flood", async () =>
      (await listOpenReports(cluster)).some(
        ({ results }) => Number.parseInt(results[0]?.properties["occurrences"] ?? "", 10) > 10,
      ),
    );
    expect(listIds(await awaitCaughtUp())).toEqual(ids);
    expect(await bed.operator.stop()).toBe(0);
  });

  test("stay as they are when a policy is deleted", async () => {
    const [namespace, name] = ["wordpress-mysql", "harden-wordpress-pkg-mngr-exec"];
    await installPolicyCrds(cluster, ["KubeArmorPolicy"]);
    await cluster.apply(policy("KubeArmorPolicy", name, { namespace }));
    const running = await start();
    const provenance = async (wanted: string) =>
      await eventually(`provenance ${wanted}`, async () => {
        const report = (await listReports(cluster)).find(({ metadata }) => metadata.name === name);
        return report?.policy.provenance === wanted;
      });
    await provenance("Found");
    await cluster.kubectl(["delete", "kubearmorpolicies", "-n", namespace, name]);
    await provenance("NotFound");
    expect(listIds(await awaitCaughtUp())).toEqual(ids);
    expect(await running.stop()).toBe(0);
  });

  test("are left alone when they are switched off, until the documented command deletes them", async () => {
    const before = await listOpenReports(cluster);
    const running = await start({ PVO_OPEN_REPORTS_ENABLED: "false" });
    bed.node.push(readAlerts(SAMPLES_PATH));
    await running.waitForReported(26);
    expect(await listOpenReports(cluster)).toEqual(before);
    expect(await running.stop()).toBe(0);
    const page = readFileSync(join(import.meta.dirname, "../../docs/openreports.md"), "utf8");
    const [, command = ""] = /`kubectl (delete [^`]+)`/.exec(page) ?? [];
    await cluster.kubectl(command.split(" "));
    expect(await listOpenReports(cluster)).toEqual([]);
    const again = await start();
    await awaitCaughtUp();
    expect(await again.stop()).toBe(0);
  });

  test("go with their reports at the end of the retention", async () => {
    const sweeper = await start({ PVO_REPORTS_RETENTION_MS: "1s", PVO_REPORTS_RETENTION_SWEEP_MS: "200ms" });
    await eventually("no report and no copy", async () => {
      return (await listReports(cluster)).length + (await listOpenReports(cluster)).length === 0;
    });
    expect(await sweeper.stop()).toBe(0);
  });
});
