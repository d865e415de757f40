// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator under load that is killed again and again, what stands in reports and journal after each kill, and what
// the reports hold in the end.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { makeAlert, spread, type WireAlert } from "../../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../../tools/kubearmor-node/node.ts";
import { startNode } from "../../../tools/kubearmor-node/server.ts";
import { eventually } from "../eventually.ts";
import { readLeftJournal } from "../journal-rows.ts";
import { createRandom } from "../random.ts";
import { watchCounts } from "../replicas.ts";
import { listReports, sumOccurrences } from "../reports.ts";
import { CrashAccount, type KilledLife } from "./crash-account.ts";
import { CrashLife } from "./crash-life.ts";

export interface CrashOptions {
  ratePerSec: number;
  /** Of the moments. */
  seed: number;
}

export interface Outcome {
  problems: string[];
  /** Alerts that the node handed to the socket. */
  sent: number;
  /** Occurrences in the reports. */
  reported: number;
  lost: number;
  streamBreaks: number;
  /** Occurrences that the last life got back from the journal. */
  recovered: number;
  /** Largest resident memory that was seen, in bytes. */
  peakRss: number;
}

/** A journal that works has taken what was counted before that: a batch is due every 50 to 250 ms. */
const SURELY_JOURNALED_MS = 1500;
/** For the clock of a batch, which is read before its rows. */
const BATCH_MS = 20;
const SAMPLE_MS = 200;
const FLOOD: readonly WireAlert[] = ["shop", "bank"].flatMap((NamespaceName) =>
  spread([makeAlert({ NamespaceName }), makeAlert({ NamespaceName, PolicyName: "other" })], 3, 4),
);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function createCrashRun(cluster: Cluster, options: CrashOptions): Promise<CrashRun> {
  // The operator is stopped on purpose while the API server starts: that must not end its stream.
  const keepalive = { timeMs: 5000, timeoutMs: 180_000 };
  return new CrashRun(cluster, await startNode({ dropLikeKubeArmor: false, keepalive }), options);
}

class CrashRun {
  readonly #cluster: Cluster;
  readonly #node: KubeArmorNode;
  readonly #options: CrashOptions;
  readonly #random: () => number;
  readonly #journalDir: string;
  readonly #counts: ReturnType<typeof watchCounts>;
  readonly #account = new CrashAccount();
  readonly #end = new AbortController();
  #life: CrashLife;
  #background: Promise<unknown>[] = [];
  /** Milliseconds since the epoch. */
  readonly #killedAt: number[] = [];
  #kills = 0;
  #peakRss = 0;
  #isApiGone = false;
  /** Killed without an API server, which knows what the reports hold. */
  #unsettled: KilledLife | undefined;

  constructor(cluster: Cluster, node: KubeArmorNode, options: CrashOptions) {
    this.#cluster = cluster;
    this.#node = node;
    this.#options = options;
    this.#random = createRandom(options.seed);
    this.#journalDir = mkdtempSync(join(cluster.dir, "journal-"));
    this.#counts = watchCounts(cluster);
    this.#life = this.#createLife();
  }

  /** Starts the first life and the load. */
  async start(): Promise<void> {
    await this.#life.begin();
    const { signal } = this.#end;
    const vary = (each: WireAlert, index: number) => this.#account.stamp(each, index);
    const { ratePerSec } = this.#options;
    this.#background = [
      this.#node.flood({ alert: FLOOD, vary, stamp: false, ratePerSec, signal }),
      this.#sampleCounts(signal),
    ];
  }

  /** Waits until this number of further alerts have been handed to the socket. */
  async waitForDelivered(count: number, withinMs = 0): Promise<void> {
    const until = this.#sent + count;
    await eventually(`${until} alerts sent`, () => this.#sent >= until, withinMs + 120_000);
  }

  /** Kills it at a random moment, looks at what is left, and starts it again. */
  async killOnce(): Promise<void> {
    await this.waitForDelivered(1 + Math.floor(this.#random() * 3 * this.#options.ratePerSec));
    await this.#noteMemory();
    const life = this.#life;
    const { isStreamBroken } = life;
    const atMs = Date.now();
    await life.operator.kill();
    this.#kills++;
    // A kill before the first report leaves nothing that could be short of something.
    if (this.#counts.seen.states > 0) this.#killedAt.push(Date.now());
    const left = readLeftJournal(this.#journalPath, join(this.#journalDir, `copy-${this.#kills}.db`));
    const certainMs = Math.max((left?.readUntilMs ?? 0) - BATCH_MS, atMs - SURELY_JOURNALED_MS);
    const { first, sentBefore } = life;
    const [end, sent, counted] = [this.#account.alerts, this.#sent, life.countBefore(certainMs)];
    this.#unsettled = { first, end, sentBefore, sent, counted, isStreamBroken, left };
    if (!this.#isApiGone) await this.#settle();
    this.#life = this.#createLife();
    await this.#life.begin();
  }

  async stopApiServer(): Promise<void> {
    this.#isApiGone = true;
    await this.#cluster.stopApiServer();
  }

  /** Starts it again, and looks at the reports before the operator does. */
  async startApiServer(): Promise<void> {
    const { child } = this.#life.operator;
    child.kill("SIGSTOP");
    await this.#cluster.startApiServer();
    this.#isApiGone = false;
    await this.#settle();
    child.kill("SIGCONT");
    await this.#life.waitForCounted(this.#options.ratePerSec);
  }

  /** Ends the load, waits until everything is written, and compares. */
  async finish(): Promise<Outcome> {
    await this.#endLoad();
    const { operator, sentBefore, isStreamBroken } = this.#life;
    const { problems } = this.#account;
    await eventually("everything sent", () => this.#node.getStats().queued === 0);
    const counted = await this.#life.waitForSettledCount();
    await operator.waitForWritten(180_000);
    await this.#noteMemory();
    const { fell } = await this.#counts.end();
    problems.push(...fell.map((name) => `${name} went down`));
    const reports = await listReports(this.#cluster);
    const [sent, reported] = [this.#sent, sumOccurrences(reports)];
    const given = sent - sentBefore;
    this.#account.loseLate(sentBefore);
    if (isStreamBroken) {
      // The node had handed these to a socket that was closed; every report has to declare the break.
      this.#account.streamBreaks++;
      this.#account.lost += given - counted;
      if (given > counted) problems.push(...reports.flatMap(findUndeclaredBreak));
    } else if (counted !== given) problems.push(`the last life: ${given} sent, ${counted} counted`);
    const { held, lost, streamBreaks } = this.#account;
    if (reported !== held + counted)
      problems.push(`${reported} reported; ${held} held after the last kill, ${counted} counted since`);
    if (reported + lost !== sent) problems.push(`${sent} sent, ${reported} reported, ${lost} lost with kills`);
    for (const report of reports) problems.push(...this.#findUndeclared(report));
    const recovered = await operator.readMetric("journal_recovered_occurrences_total");
    return { problems, sent, reported, lost, streamBreaks, recovered, peakRss: this.#peakRss };
  }

  async stop(): Promise<void> {
    await this.#endLoad();
    await this.#counts.end();
    await this.#life.operator.kill();
    await this.#node.stop();
  }

  get #sent(): number {
    return this.#node.getStats().sent;
  }

  get #journalPath(): string {
    return join(this.#journalDir, "journal.db");
  }

  #createLife(): CrashLife {
    return new CrashLife(this.#cluster, this.#node, this.#journalPath);
  }

  async #endLoad(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#background);
  }

  async #settle(): Promise<void> {
    const life = this.#unsettled;
    if (!life) return;
    this.#unsettled = undefined;
    // Requests of the process may still be under way in the API server.
    await pause(500);
    this.#account.settle(life, await listReports(this.#cluster));
  }

  /** Kills that the report does not declare; of its gaps the newest are listed one by one. */
  #findUndeclared({ metadata, coverage }: Report): string[] {
    const gaps = (coverage.recent ?? []).filter(({ kind }) => kind === "NotRunning");
    const oldest = Math.min(...gaps.map(({ from }) => Date.parse(from)));
    const isDeclared = (ms: number) =>
      gaps.some(({ from, to }) => Date.parse(from) <= ms && (to === undefined || Date.parse(to) >= ms));
    const undeclared = this.#killedAt.filter((ms) => ms >= oldest && !isDeclared(ms));
    const isMarked = coverage.lowerBound && gaps.length > 0;
    if (undeclared.length === 0 && (isMarked || this.#killedAt.length === 0)) return [];
    const times = undeclared.map((ms) => new Date(ms).toISOString());
    return [`${metadata.namespace}/${metadata.name} does not declare kills: ${times}`];
  }

  /** Asks again and again how much was counted. */
  async #sampleCounts(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#life.sampleCount();
      await pause(SAMPLE_MS);
    }
  }

  async #noteMemory(): Promise<void> {
    this.#peakRss = Math.max(this.#peakRss, await this.#life.operator.readMemory().catch(() => 0));
  }
}

function findUndeclaredBreak({ metadata, coverage }: Report): string[] {
  const isDeclared = coverage.recent?.some(({ kind }) => kind === "StreamDown" || kind === "StreamEnded");
  return isDeclared ? [] : [`${metadata.namespace}/${metadata.name} does not declare a stream break`];
}
