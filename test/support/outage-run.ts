// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas under load, an API server that is gone for longer than the Lease, and one replica that is killed and
// started again meanwhile: the outcome of every alert.
// Invariant: the one that is started again reads at once and has a gap; the other one has read everything.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { eventually } from "./eventually.ts";
import type { OperatorProcess } from "./operator.ts";
import {
  awaitCaughtUp,
  countExpected,
  countReported,
  LOAD,
  listCoverages,
  QUICK,
  Replicas,
  watchCounts,
} from "./replicas.ts";

export interface OutageOptions {
  /** Replica that is killed in the middle and started again. */
  victim: "leader" | "standby";
  ratePerSec: number;
  /** Shortest outage of the API server; it also outlasts the Lease. */
  seconds: number;
}

export interface OutageOutcome {
  /** Alerts that were sent to each replica that read just then. */
  sent: number;
  /** Of them, while the API server was gone. */
  sentInOutage: number;
  /** True where the replica that had read everything wrote first afterwards. */
  isHeirTheSurvivor: boolean;
  /** By report, and what it should be. */
  reported: Record<string, number>;
  expected: Record<string, number>;
  coverages: { gaps: number; lowerBound: boolean }[];
  /** Counts that went down. */
  fell: string[];
  /** Largest resident memory of a replica that was seen, in bytes. */
  peakRss: number;
}

/** Runs it to its end, on a cluster that `prepare` has seen to and nothing else uses. */
export async function runOutage(cluster: Cluster, options: OutageOptions): Promise<OutageOutcome> {
  const run = new OutageRun(cluster, await startNode({ dropLikeKubeArmor: false }), options);
  try {
    return await run.run();
  } catch (error) {
    console.error(await run.replicas.formatState(cluster));
    throw error;
  } finally {
    await run.end();
  }
}

class OutageRun {
  readonly replicas: Replicas;
  readonly #cluster: Cluster;
  readonly #node: KubeArmorNode;
  readonly #options: OutageOptions;
  readonly #journals: string;
  readonly #counts: ReturnType<typeof watchCounts>;
  readonly #stop = new AbortController();
  #flooding: Promise<number> = Promise.resolve(0);
  #peakRss = 0;

  constructor(cluster: Cluster, node: KubeArmorNode, options: OutageOptions) {
    this.#cluster = cluster;
    this.#node = node;
    this.#options = options;
    this.#journals = mkdtempSync(join(cluster.dir, "journals-"));
    // A start that looks for certificates in the API server has to wait for it.
    this.replicas = new Replicas(node, { ...QUICK, PVO_FEED_RELAY_TLS_MODE: "off" });
    this.#counts = watchCounts(cluster);
  }

  async run(): Promise<OutageOutcome> {
    const { victim, ratePerSec } = this.#options;
    const cluster = this.#cluster;
    const leader = this.#start("a");
    await leader.waitUntilLeading();
    const standby = this.#start("b");
    await awaitCaughtUp(standby);
    const signal = this.#stop.signal;
    this.#flooding = this.#node.flood({ alert: LOAD, ratePerSec, signal });
    await eventually("all reports", async () => Object.keys(await countReported(cluster)).length >= 7);

    const [survivor, name, killed] = victim === "leader" ? [standby, "a", leader] : [leader, "b", standby];
    await cluster.stopApiServer();
    const before = this.#node.getStats().pushed;
    await leader.waitForMetric("leader", 0);
    await this.#waitForHalf(before);
    await this.#noteMemory(leader, standby);
    await killed.kill();
    const restarted = this.#start(name);
    await restarted.streamOpen();
    await this.#waitForHalf(this.#node.getStats().pushed);
    await this.#noteMemory(survivor, restarted);
    const sentInOutage = this.#node.getStats().pushed - before;
    await cluster.startApiServer();

    const heir = await eventually("one that leads", () => findLeader([survivor, restarted]), 120_000);
    this.#stop.abort();
    const sent = await this.#flooding;
    await survivor.waitForReceived(sent);
    await eventually("one that has written everything", () => hasWritten([survivor, restarted]), 180_000);
    await this.#noteMemory(survivor, restarted);
    return {
      sent,
      sentInOutage,
      isHeirTheSurvivor: heir === survivor,
      reported: await countReported(cluster),
      expected: countExpected(sent),
      coverages: await listCoverages(cluster),
      fell: (await this.#counts.end()).fell,
      peakRss: this.#peakRss,
    };
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#flooding;
    await this.#counts.end();
    await this.replicas.end();
    await this.#node.stop();
  }

  #start(name: string): OperatorProcess {
    const env = { PVO_JOURNAL_PATH: join(this.#journals, `${name}.db`) };
    return this.replicas.start(this.#cluster.kubeconfigPath, env);
  }

  /** Waits until half of what belongs to the outage has been sent since. */
  async #waitForHalf(before: number): Promise<void> {
    const { ratePerSec, seconds } = this.#options;
    const until = before + (ratePerSec * seconds) / 2;
    await eventually(`${until} sent`, () => this.#node.getStats().pushed >= until, seconds * 1000 + 60_000);
  }

  async #noteMemory(...replicas: OperatorProcess[]): Promise<void> {
    for (const replica of replicas) this.#peakRss = Math.max(this.#peakRss, await replica.readMemory());
  }
}

async function findLeader(replicas: readonly OperatorProcess[]): Promise<OperatorProcess | undefined> {
  for (const replica of replicas) {
    // One that another has led after ends by itself.
    const isLeader = await replica.readMetric("leader").catch(() => 0);
    if (isLeader === 1) return replica;
  }
  return undefined;
}

async function hasWritten(replicas: readonly OperatorProcess[]): Promise<boolean> {
  const leader = await findLeader(replicas);
  if (leader === undefined) return false;
  const all = await leader.readMetrics();
  // Its alerts as a standby are pending only once it has taken over.
  const left = ["standby_alerts_held", "unwritten_occurrences"].map((name) => all.get(`policy_violation_${name}`));
  return left.every((count) => count === 0);
}
