// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A short life of the operator, from start to stop, on a real API server of which one call goes wrong; and what must
// hold after it, whichever call that was.

import { join } from "node:path";
import type { Report } from "../../src/api/v1alpha1.ts";
import { runOperator } from "../../src/app/operator.ts";
import { parseConfig } from "../../src/config/config.ts";
import { loadKubeConfig } from "../../src/kube/kubeconfig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { writeKubeconfig } from "../../tools/cluster/cluster-access.ts";
import { ADMIN_TOKEN } from "../../tools/cluster/cluster-files.ts";
import { makeAlert, restamp, spread, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { API_FAULTS, ApiFaultProxy, type Plan } from "./api-fault-proxy.ts";
import { eventually } from "./eventually.ts";

export interface Ended {
  plan: Plan | undefined;
  /** True where the call was reached. */
  isHit: boolean;
  calls: readonly string[];
  /** Violated rules; empty for none. */
  problems: string[];
}

const ENV = {
  PVO_METRICS_ADDRESS: "127.0.0.1:0",
  PVO_HEALTH_ADDRESS: "127.0.0.1:0",
  PVO_LEADER_ELECTION_ENABLED: "false",
  PVO_REPORTS_FIRST_WRITE_DELAY_MS: "50",
  PVO_REPORTS_MIN_INTERVAL_MS: "100",
  // A call that is never answered is given up soon.
  PVO_REPORTS_WRITE_TIMEOUT_MS: "1500",
  PVO_SHUTDOWN_GRACE_MS: "60000",
};

const SENT: Record<string, number> = { "p-one": 6, "p-two": 4 };
let runs = 0;

/** One life. */
export async function runLife(cluster: Cluster, plan: Plan | undefined): Promise<Ended> {
  const namespace = `run-${process.pid}-${++runs}`;
  const problems: string[] = [];
  const made = await cluster.request("POST", "/api/v1/namespaces", { metadata: { name: namespace } });
  if (made.status !== 201) throw new Error(`namespace ${namespace}: ${made.status}`);
  const proxy = new ApiFaultProxy(cluster, namespace, plan);
  await proxy.start();
  const node = await startNode({ dropLikeKubeArmor: false });
  const log: Record<string, unknown>[] = [];
  const note = (fields: object) => void log.push({ ...fields });
  const stop = new AbortController();
  const running = runOperator(
    {
      config: createConfig(node.address),
      kubeConfig: loadKubeConfig({ path: createKubeconfig(cluster, namespace, proxy.url), env: {} }),
      logger: { debug: note, info: note, warn: note, error: note },
      clock: systemClock,
      version: "test",
    },
    stop.signal,
  );
  try {
    const port = await eventually("metrics", () => log.find((line) => "metricsPort" in line)?.["metricsPort"]);
    const metric = async (name: string) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return Number(new RegExp(`^policy_violation_${name} (\\S+)$`, "m").exec(text)?.[1]);
    };
    await node.waitForClients();
    const alerts = createAlerts(namespace);
    node.push(alerts.slice(0, 4));
    await eventually("the first reports", async () => (await metric("unwritten_occurrences")) === 0);
    node.push(alerts.slice(4, 8));
    await eventually("what came then", async () => (await metric("unwritten_occurrences")) === 0);
    // The rest is for the end to write.
    node.push(alerts.slice(8));
    await eventually("all alerts", async () => (await metric("alerts_counted_total")) === alerts.length);
    stop.abort();
    const code = await running;
    if (code !== 0) problems.push(`ended with ${code}`);
    problems.push(...findUnbalanced(log.at(-1), alerts.length));
    problems.push(...findUntrue(await listReports(cluster, namespace)));
  } catch (error) {
    problems.push(String(error));
    stop.abort();
    await running;
  } finally {
    await node.stop();
    await proxy.stop();
  }
  return { plan, isHit: proxy.isHit, calls: proxy.calls, problems };
}

/** One life for each plan, several at a time. */
export async function runLives(cluster: Cluster, plans: readonly Plan[]): Promise<Ended[]> {
  const queue = [...plans];
  const ended: Ended[] = [];
  const worker = async () => {
    for (let plan = queue.shift(); plan; plan = queue.shift()) ended.push(await runLife(cluster, plan));
  };
  await Promise.all(Array.from({ length: 6 }, worker));
  return ended;
}

/** Every fault at every one of `calls` calls. */
export function listPlans(calls: number): Plan[] {
  return API_FAULTS.flatMap((fault) => Array.from({ length: calls }, (_, i) => ({ fault, at: i + 1 })));
}

/** Problems in any of them, with the plan. */
export function findProblems(ended: readonly Ended[]): string[] {
  return ended.flatMap(({ plan, calls, problems }) =>
    problems.map((problem) => `${plan?.fault} at ${plan?.at} (${calls[(plan?.at ?? 0) - 1]}): ${problem}`),
  );
}

function createConfig(relay: string) {
  const result = parseConfig({ env: { ...ENV, PVO_FEED_RELAY_ADDRESS: relay }, place: { identity: "test" } });
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

function createKubeconfig(cluster: Cluster, name: string, url: string): string {
  return writeKubeconfig(join(cluster.dir, `kubeconfig-${name}`), url, Buffer.from(""), ADMIN_TOKEN);
}

function createAlerts(namespace: string): WireAlert[] {
  const owner = { Ref: "Deployment", Name: "web", Namespace: namespace };
  const base = { NamespaceName: namespace, Owner: owner };
  const one = spread([makeAlert({ ...base, PolicyName: "p-one" })], 2, 1);
  const two = spread([makeAlert({ ...base, PolicyName: "p-two" })], 1, 2);
  const startUs = Date.now() * 1000;
  const each = [...one, ...two, ...one, ...two, ...one];
  return each.map((alert, i) => restamp(alert, startUs + i, 1000 + i));
}

function findUnbalanced(last: Record<string, unknown> = {}, sent: number): string[] {
  const { received, counted, duplicates, throttleNotices, rejected } = last;
  const left = Object.values((rejected ?? {}) as Record<string, number>);
  const counters = JSON.stringify([received, counted, duplicates, throttleNotices, left.reduce((a, b) => a + b, 0)]);
  const due = JSON.stringify([sent, sent, 0, 0, 0]);
  return counters === due ? [] : [`counters ${counters}, not ${due}`];
}

async function listReports(cluster: Cluster, namespace: string): Promise<Report[]> {
  const path = `/apis/reports.kubearmor.com/v1alpha1/namespaces/${namespace}/policyviolationreports`;
  return (await cluster.request("GET", path)).body.items as Report[];
}

/** Differences between the reports and the sent alerts. */
function findUntrue(reports: readonly Report[]): string[] {
  const found = reports.map(({ policy, summary, violations, coverage }) => [
    policy.name,
    summary.occurrences,
    violations.reduce((sum, { occurrences }) => sum + occurrences, 0),
    coverage.gaps,
    coverage.lowerBound,
  ]);
  const due = Object.entries(SENT).map(([name, count]) => [name, count, count, 0, false]);
  const [a, b] = [found, due].map((rows) => JSON.stringify(rows.sort()));
  return a === b ? [] : [`reports ${a}, not ${b}`];
}
