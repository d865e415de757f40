// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two operator processes on one cluster and one stream, an even load over many reports, and what must hold of it.

import type { Report } from "../../src/api/v1alpha1.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { createReportWatch } from "../../src/sinks/report-watch.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { makeAlert, makeHostAlert, spread, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { eventually } from "./eventually.ts";
import { createKubeClient } from "./kube-clients.ts";
import { OperatorProcess } from "./operator.ts";
import { listReports } from "./reports.ts";

/** Lease times that a busy machine keeps and that make a takeover soon all the same; reports at a pace that leaves much unwritten. */
export const QUICK = {
  PVO_LEADER_ELECTION_LEASE_DURATION_MS: "12000",
  PVO_LEADER_ELECTION_RENEW_DEADLINE_MS: "9000",
  PVO_LEADER_ELECTION_RETRY_PERIOD_MS: "1000",
  PVO_REPORTS_FIRST_WRITE_DELAY_MS: "200",
  PVO_REPORTS_MIN_INTERVAL_MS: "1000",
  PVO_REPORTS_MAX_INTERVAL_MS: "3000",
};

const NAMESPACES = ["shop", "bank", "mail"];
const POLICIES = ["no-package-managers", "keep-secrets"];

/** In every namespace and policy 12 pods, more than a report lists, with 4 violations each; and one host policy. */
export const LOAD: readonly WireAlert[] = [
  ...NAMESPACES.flatMap((namespace) =>
    POLICIES.flatMap((policy) =>
      spread(
        [
          makeAlert({
            NamespaceName: namespace,
            Owner: { Ref: "Deployment", Name: "web", Namespace: namespace },
            PolicyName: policy,
          }),
        ],
        12,
        4,
      ),
    ),
  ),
  makeHostAlert({ PolicyName: "host-files" }),
];

/** Creates the namespaces of the load. */
export async function prepare(cluster: Cluster): Promise<void> {
  await cluster.applyCrds();
  for (const name of ["kubearmor", ...NAMESPACES]) await cluster.kubectl(["create", "namespace", name]);
}

/** Number of the first `count` alerts of the load in each report, by namespace and name. */
export function countExpected(count: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [index, alert] of LOAD.entries()) {
    const key = `${alert.NamespaceName}/${alert.PolicyName}`;
    const times = Math.floor((count - index - 1) / LOAD.length) + 1;
    counts[key] = (counts[key] ?? 0) + Math.max(0, times);
  }
  return counts;
}

/** Occurrences in the reports, by namespace and name. */
export async function countReported(cluster: Cluster): Promise<Record<string, number>> {
  return Object.fromEntries(
    (await listReports(cluster)).map(({ metadata, summary }) => [
      `${metadata.namespace ?? ""}/${metadata.name}`,
      summary.occurrences,
    ]),
  );
}

/** Coverage of every report. */
export async function listCoverages(cluster: Cluster): Promise<{ gaps: number; lowerBound: boolean }[]> {
  return (await listReports(cluster)).map(({ coverage: { gaps, lowerBound } }) => ({ gaps, lowerBound }));
}

interface SeenCounts {
  states: number;
  /** Counts that went down. */
  fell: string[];
}

/** Watches all reports for counts that go down; `end` returns what it saw. */
export function watchCounts(cluster: Cluster): { seen: Readonly<SeenCounts>; end: () => Promise<SeenCounts> } {
  const client = createKubeClient(cluster.kubeconfigPath);
  const watch = createReportWatch({ client, clock: systemClock, logger: silentLogger });
  const stop = new AbortController();
  const newest = new Map<string, Report>();
  const seen: SeenCounts = { states: 0, fell: [] };
  const onStored = (report: Report) => {
    seen.states++;
    const key = `${report.metadata.uid}`;
    const before = newest.get(key);
    if (before) seen.fell.push(...findFallen(before, report));
    newest.set(key, report);
  };
  const running = watch.run({ onStored, onListed: () => {}, onRemoved: () => {} }, stop.signal);
  return {
    seen,
    async end() {
      stop.abort();
      await running;
      await client.close();
      return seen;
    },
  };
}

function findFallen(before: Report, after: Report): string[] {
  const found: string[] = [];
  if (after.summary.occurrences < before.summary.occurrences) found.push(after.metadata.name);
  const now = new Map(after.violations.map(({ id, occurrences }) => [id, occurrences]));
  for (const { id, occurrences } of before.violations) {
    if ((now.get(id) ?? occurrences) < occurrences) found.push(`${after.metadata.name} ${id}`);
  }
  return found;
}

/** Two replicas: the first leads, the second is a standby. */
export class Replicas {
  readonly all: OperatorProcess[] = [];
  readonly #node: KubeArmorNode;
  readonly #env: Record<string, string>;

  constructor(node: KubeArmorNode, env: Record<string, string> = QUICK) {
    this.#node = node;
    this.#env = env;
  }

  /** Starts one more replica, which reaches the API server by `kubeconfig`. */
  start(kubeconfig: string, env: Record<string, string> = {}): OperatorProcess {
    const operator = new OperatorProcess({
      kubeconfig,
      relay: this.#node.address,
      leaderElection: true,
      env: { ...this.#env, ...env },
    });
    this.all.push(operator);
    return operator;
  }

  /** Starts two and waits until the second has caught up with the first. */
  async startPair(
    kubeconfig: string,
    leaders: string = kubeconfig,
    env: Record<string, string> = {},
  ): Promise<[leader: OperatorProcess, standby: OperatorProcess]> {
    const leader = this.start(leaders, env);
    await leader.waitUntilLeading();
    const standby = this.start(kubeconfig, env);
    await awaitCaughtUp(standby);
    return [leader, standby];
  }

  /** Log, readiness and metrics of every replica, and what the reports say, for a test that fails. */
  async formatState(cluster: Cluster): Promise<string> {
    const parts = this.all.map(async (replica, index) => [
      `replica ${index + 1}: ${replica.stderr}`,
      ...replica.log.map((line) => JSON.stringify(line)),
      ...(await formatProbes(replica).catch((error) => [`no answer: ${error}`])),
    ]);
    const reports = await listReports(cluster).catch(() => []);
    const states = reports.map(({ metadata, summary, coverage }) => JSON.stringify({ metadata, summary, coverage }));
    return [...(await Promise.all(parts)), ...states].flat().join("\n");
  }

  async end(): Promise<void> {
    for (const replica of this.all.splice(0)) {
      replica.child.kill("SIGCONT");
      await replica.kill();
    }
  }
}

/** Readiness, and own metrics that are not 0. */
async function formatProbes(replica: OperatorProcess): Promise<string[]> {
  const { status, body } = await replica.get("/readyz");
  const metrics = [...(await replica.readMetrics())].filter(
    ([name, value]) => name.startsWith("policy_") && value !== 0,
  );
  return [`${status} ${body}`, ...metrics.map(([name, value]) => `${name} ${value}`)];
}

/** Waits until a standby could take over without a gap. */
export async function awaitCaughtUp(standby: OperatorProcess): Promise<void> {
  await eventually(
    "a standby that is caught up",
    async () => (await standby.readMetric("standby_ready")) === 1 && (await standby.get("/readyz")).status === 200,
  );
}

/** The law of a standby that has never led, in one reading of its metrics: counted = held + shown + forgotten. */
export async function readStandbyCounters(
  standby: OperatorProcess,
): Promise<{ counted: number; accounted: number; held: number }> {
  const all = await standby.readMetrics();
  const value = (name: string) => all.get(`policy_violation_${name}`) ?? Number.NaN;
  const held = value("standby_alerts_held");
  const accounted = held + value("standby_alerts_already_reported_total") + value("standby_alerts_evicted_total");
  return { counted: value("alerts_counted_total"), accounted, held };
}
