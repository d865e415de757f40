// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas that read two nodes directly, on a real API server: a change of leaders under load, and a daemon that
// is restarted.

import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { applyDaemonPod, DAEMON_PORT } from "../../tools/cluster/kubearmor-pods.ts";
import { makeAlert, makeHostAlert, spread, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { KEEPALIVE, type KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { eventually } from "../support/eventually.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { countReported, listCoverages, prepare, QUICK, Replicas } from "../support/replicas.ts";
import { listReports } from "../support/reports.ts";

const PER_SECOND = 400;
/** Addresses of this process, because every daemon has the same port. */
const NETWORK = `127.${1 + (process.pid % 250)}.${(process.pid >> 8) % 250}`;
const REPORTS = 4;
const NODES = ["node-a", "node-b"] as const;

/** In each of three namespaces 5 pods with 4 violations each, and one host policy: of both nodes no more than a report lists. */
function createLoad(node: string): WireAlert[] {
  const pods = ["shop", "bank", "mail"].flatMap((namespace) =>
    spread([makeAlert({ NamespaceName: namespace, PolicyName: "keep-secrets", Owner: {} })], 5, 4),
  );
  const named = pods.map((alert) => ({ ...alert, PodName: `${node}-${alert.PodName}` }));
  const host = makeHostAlert({ PolicyName: "host" });
  // No violation and pod of one node is that of the other: together they would be in no order of times.
  return [...named, host].map((alert) => ({ ...alert, HostName: node }));
}

/** Occurrences that each report must have after `sent` alerts of each node's load, by namespace and name. */
function countExpected(sent: readonly number[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [i, count] of sent.entries()) {
    const load = createLoad(NODES[i] as string);
    for (let n = 0; n < count; n++) {
      const { NamespaceName, PolicyName } = load[n % load.length] as WireAlert;
      const key = `${NamespaceName}/${PolicyName}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
  }
  return counts;
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);

describeReal("nodes that are read directly", () => {
  const cluster = useCluster();
  let daemons: KubeArmorNode[];
  let replicas: Replicas;

  beforeAll(async () => {
    await prepare(cluster);
    for (const [i, node] of NODES.entries()) {
      await applyDaemonPod(cluster, { name: `kubearmor-${node}`, node, ip: `${NETWORK}.${i + 2}` });
    }
    await applyDaemonPod(cluster, {
      name: "kubearmor-relay",
      node: "node-a",
      app: "kubearmor-relay",
      ip: `${NETWORK}.9`,
    });
  });
  beforeEach(async () => {
    daemons = await Promise.all(
      NODES.map((_, i) =>
        startNode({
          host: `${NETWORK}.${i + 2}`,
          port: DAEMON_PORT,
          keepalive: KEEPALIVE.daemon,
          dropLikeKubeArmor: false,
        }),
      ),
    );
    replicas = new Replicas(daemons[0] as KubeArmorNode, { ...QUICK, PVO_FEED_MODE: "nodes" });
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await replicas.formatState(cluster));
    await replicas.end();
    for (const daemon of daemons) await daemon.stop();
    await cluster.kubectl(["delete", "pvr,cpvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "lease", "-n", "kubearmor", "--all"]);
  });

  /** Sends alerts from every node until `during` is done; returns the expected counts of the reports. */
  async function loadWhile(during: () => Promise<unknown>): Promise<Record<string, number>> {
    const stop = new AbortController();
    const flooding = daemons.map((daemon, i) =>
      daemon.flood({ alert: createLoad(NODES[i] as string), ratePerSec: PER_SECOND, signal: stop.signal }),
    );
    try {
      await during();
    } finally {
      stop.abort();
    }
    return countExpected(await Promise.all(flooding));
  }

  test("a leader that is killed under load: every alert of every node is counted once", async () => {
    const [leader, standby] = await replicas.startPair(cluster.kubeconfigPath);
    expect(await leader.readMetric("nodes_desired")).toBe(2);
    expect(await leader.readMetric("nodes_connected")).toBe(2);
    const counts = await loadWhile(async () => {
      await eventually("reports", async () => Object.keys(await countReported(cluster)).length >= REPORTS);
      await leader.kill();
      await standby.waitUntilLeading();
      await eventually("a report of the new leader", async () => (await standby.readMetric("report_writes_total")) > 0);
    });
    await standby.waitForReported(sum(counts));
    expect(await countReported(cluster)).toEqual(counts);
    for (const coverage of await listCoverages(cluster)) expect(coverage).toEqual({ gaps: 0, lowerBound: false });
    for (const { coverage } of await listReports(cluster)) {
      expect(coverage.nodes).toEqual({ desired: 2, connected: 2 });
    }
  });

  test("a restarted daemon is one gap in every report, and is named while it is missing", async () => {
    const operator = replicas.start(cluster.kubeconfigPath);
    expect(await operator.waitForLine(({ mode }) => mode === "nodes")).not.toHaveProperty("relay");
    await operator.waitUntilLeading();
    await eventually("both nodes", async () => (await operator.readMetric("nodes_connected")) === 2);
    const [a, b] = daemons as [KubeArmorNode, KubeArmorNode];
    const load = createLoad("node-a");
    const count = load.length;
    for (const daemon of daemons) await daemon.flood({ alert: load, count });
    await operator.waitForReported(2 * count);

    await b.stop();
    await eventually("a missing node", async () => (await operator.readMetric("nodes_connected")) === 1);
    expect(await operator.readMetric("nodes_desired")).toBe(2);
    expect(await operator.readMetric("stream_up")).toBe(1);
    const { status, body } = await operator.get("/readyz");
    expect([status, body]).toEqual([200, expect.stringContaining("1 of 2 nodes are read; node node-b: ")]);
    await a.flood({ alert: load, count });
    await b.start();
    await eventually("both nodes", async () => (await operator.readMetric("nodes_connected")) === 2);
    await a.flood({ alert: load, count });
    await operator.waitForReceived(4 * count);

    await eventually("a gap that is over in all reports", async () => {
      const gaps = (await listReports(cluster)).map(({ coverage }) => coverage);
      return gaps.length === REPORTS && gaps.every(({ recent }) => recent?.some(({ to }) => to !== undefined));
    });
    for (const { coverage } of await listReports(cluster)) {
      expect(coverage).toMatchObject({ gaps: 1, lowerBound: true });
      expect(coverage.recent).toMatchObject([{ kind: "NodeDown", nodes: 1 }]);
    }
  });
});
