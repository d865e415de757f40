// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The bundle as the image runs it, in a control group of a container's memory: more distinct violations than are held,
// over a thousand reports, and ever new ones after that. The kernel never has to end it, and every alert is counted.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ensureAlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { KubeApi } from "../../bench/support/kube-api.ts";
import { makeNamespaces } from "../../bench/support/objects.ts";
import { readMemory } from "../../bench/support/process-stat.ts";
import { bundle } from "../../tools/bundle.ts";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { readImageEnv } from "../support/image-env.ts";
import { findMemoryCgroupObstacle, MemoryCgroup } from "../support/memory-cgroup.ts";
import { OperatorProcess, readReconciledCounters } from "../support/operator.ts";

const LIMITS_MIB = (process.env["LIMITS_MIB"] ?? "512,1024").split(",").map(Number);
const MORE = Number(process.env["ALERTS"] ?? 400_000);
const RATE = Number(process.env["RATE"] ?? 8000);
const REPORTS = 1000;
const NAMESPACES = 20;
const ENTER_CGROUP = join(import.meta.dirname, "../support/enter-cgroup.ts");
const WAIT_MS = 1_200_000;

const missing = findMemoryCgroupObstacle();

describe.skipIf(missing !== undefined)(`in a container's memory (${missing ?? "a control group"})`, () => {
  let cluster: Cluster;
  let operator: OperatorProcess | undefined;

  beforeEach(async () => {
    cluster = await startCluster();
    await cluster.applyCrds();
  });
  afterEach(async () => {
    await operator?.kill();
    await cluster?.stop();
  });

  for (const mib of LIMITS_MIB) {
    test(`${mib} MiB: 300,000 distinct violations and 100,000 new ones`, async () => {
      const dir = mkdtempSync(join(cluster.dir, "operator-"));
      await bundle({ operator: "src/main.ts" }, dir);
      const keys = { reports: REPORTS, violations: 300, pods: 1, namespaces: NAMESPACES };
      const source = await startAlertSource(await ensureAlertSource(), keys);
      const api = new KubeApi(cluster.kubeconfigPath);
      await makeNamespaces(api, NAMESPACES);
      api.close();
      const group = new MemoryCgroup(`pvo-${process.pid}-${mib}`, mib * 2 ** 20);
      operator = new OperatorProcess({
        kubeconfig: cluster.kubeconfigPath,
        relay: source.address,
        program: [ENTER_CGROUP, group.dir, join(dir, "operator.cjs")],
        env: { ...readImageEnv(), PVO_JOURNAL_PATH: join(dir, "journal.db"), PVO_FEED_RELAY_TLS_MODE: "off" },
      });
      let peakRss = 0;
      const look = setInterval(() => {
        const { pid, exitCode, signalCode } = operator?.child ?? {};
        if (pid === undefined || exitCode !== null || signalCode !== null) return;
        peakRss = Math.max(peakRss, readMemory(pid).rssBytes);
      }, 200);
      try {
        await source.clients(1, 60_000);
        const swept = await source.send({ count: source.keys, order: "sweep", rate: RATE }, WAIT_MS);
        const more = await source.send({ count: MORE, freshEvery: 4, rate: RATE }, WAIT_MS);
        const sent = swept.sent + more.sent;
        await waitForReceived(operator, sent);
        const { counted } = await readReconciledCounters(operator);
        const held = await operator.readMetric("violations_held");
        const figures = { mib, sent, counted, held, peakRss, peakBytes: group.peakBytes };
        process.stdout.write(`${JSON.stringify({ ...figures, oomKills: group.oomKills })}\n`);
        expect(group.oomKills).toBe(0);
        expect([operator.child.exitCode, operator.child.signalCode, operator.stderr]).toEqual([null, null, ""]);
        expect(counted).toBe(sent);
        expect(held).toBeGreaterThan(20_000);
      } finally {
        clearInterval(look);
        await operator.kill();
        await source.stop();
        group.remove();
      }
    });
  }
});

/** As OperatorProcess.received, and ends at once where the process has. */
async function waitForReceived(operator: OperatorProcess, count: number): Promise<void> {
  await eventually(
    `${count} alerts received`,
    async () => {
      const { exitCode, signalCode } = operator.child;
      if (exitCode !== null || signalCode !== null)
        throw new Error(`the operator ended: ${exitCode ?? signalCode}: ${operator.stderr}`);
      return (await operator.readMetric("alerts_received_total")) >= count;
    },
    WAIT_MS,
  );
}
