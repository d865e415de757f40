// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal with counts of one cluster that an operator in another cluster finds on its volume: no count of it gets into
// the reports there, and they say so.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { wireAlert } from "../support/gen.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";

describeReal("a journal of another cluster", () => {
  const content = { controllerManager: false, crds: true, namespaces: ["shop"] };
  const here = useCluster(content);
  const elsewhere = useCluster(content);
  const bed = useNode(here);
  const path = join(createFolder(), "journal.db");
  let sent = 0;

  /** Starts an operator with the token of a ServiceAccount, as in a pod. */
  async function start(cluster: Cluster) {
    const token = await cluster.createServiceAccountToken("kubearmor", "operator");
    const kubeconfig = cluster.kubeconfigFor(token);
    return await bed.start({ kubeconfig, env: { PVO_JOURNAL_PATH: path, PVO_REPORTS_MIN_INTERVAL_MS: "200" } });
  }

  async function grant(cluster: Cluster): Promise<void> {
    const binding = ["operator", "--clusterrole=cluster-admin", "--serviceaccount=kubearmor:operator"];
    await cluster.kubectl(["create", "clusterrolebinding", ...binding]);
  }

  function send(count: number): void {
    for (let n = 0; n < count; n++) {
      const UpdatedTime = `${new Date().toISOString().slice(0, -1)}000Z`;
      bed.node.push([wireAlert({ NamespaceName: "shop", UpdatedTime, HostPID: ++sent })]);
    }
  }

  const readHere = (occurrences: number) =>
    eventually(`a report with ${occurrences}`, async () => {
      const [report] = await listReports(here);
      return report?.summary.occurrences === occurrences && report;
    });

  test("is put aside with its counts, and declared; the next one is continued", async () => {
    for (const cluster of [here, elsewhere]) await grant(cluster);
    const before = await start(here);
    send(1);
    await readHere(1);
    expect(await before.stop()).toBe(0);

    // What follows is in neither cluster's reports.
    const foreign = await start(elsewhere);
    expect(await foreign.readMetric("journal_failures_total")).toBe(0);
    await elsewhere.stopApiServer();
    send(5);
    await foreign.waitForReceived(5);
    await eventually("a batch", async () => (await foreign.readMetric("journal_rows_total")) > 0);
    await foreign.kill();

    const second = await start(here);
    await second.waitForMetric("journal_failures_total", 1);
    send(1);
    const { coverage } = await readHere(2);
    expect(coverage.lowerBound).toBe(true);
    expect(coverage.recent?.map(({ kind }) => kind)).toContain("JournalUnavailable");
    expect(existsSync(`${path}.broken`)).toBe(true);
    expect(await second.stop()).toBe(0);

    const third = await start(here);
    send(1);
    expect((await readHere(3)).coverage.recent?.filter(({ kind }) => kind === "JournalUnavailable")).toHaveLength(1);
    expect(await third.stop()).toBe(0);
  });
});
