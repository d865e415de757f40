// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator under load that is killed again and again, and the counters of it all: every alert with its time and report,
// what stands in reports and journal after each kill, what the reports hold in the end.
// Invariant: what is lost is reckoned from the node's own list alone, alert by alert; nothing is allowed for.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { makeAlert, restamp, spread, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { countHeld, type Held, readJournal } from "./crash-left.ts";
import { eventually } from "./eventually.ts";
import { readImageEnv } from "./image-env.ts";
import type { FoundJournal } from "./journal-rows.ts";
import { OperatorProcess } from "./operator.ts";
import { createRandom } from "./random.ts";
import { listReports, sumOccurrences } from "./reports.ts";

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
  kills: number;
  /** Occurrences that the last life got back from the journal. */
  recovered: number;
  /** Largest resident memory that was seen, in bytes. */
  peakRss: number;
  /** Of each kill: what was lost, and what at most may have been: all that came after the last certain batch. */
  losses: [lost: number, atMost: number][];
  /** Sum of what was lost: sent = written + lost. */
  lost: number;
  /** Lives in which the stream broke by itself; nothing is known of which alerts were lost then. */
  streamBreaks: number;
}

/** State after a kill. */
interface Look {
  sent: number;
  left: FoundJournal | undefined;
  /** The alerts that the node offered to this life, as numbers of its list. */
  first: number;
  end: number;
  /** Alerts that the node had sent to earlier lives. */
  sentBefore: number;
  /** Counts of this life for certain before a batch of the journal. */
  counted: number;
  isBroken: boolean;
}

/** A journal that works has taken what was counted before that: a batch is due every 50 to 250 ms. */
const SURELY_JOURNALED_MS = 1500;
/** For the clock of a batch, which is read before its rows. */
const BATCH_MS = 20;
const SAMPLE_MS = 200;
const FLOOD = ["shop", "bank"].flatMap((NamespaceName) =>
  spread([makeAlert({ NamespaceName }), makeAlert({ NamespaceName, PolicyName: "other" })], 3, 4),
);

export class CrashRun {
  readonly seed: number;
  readonly #cluster: Cluster;
  readonly #options: CrashOptions;
  readonly #journalDir: string;
  readonly #problems: string[] = [];
  readonly #end = new AbortController();
  readonly #newest = new Map<string, number>();
  /** The time of every alert, in microseconds since the epoch, and its report. */
  readonly #times: number[] = [];
  readonly #keys: string[] = [];
  /** Counts of this life, and the time of that reading, in milliseconds since the epoch. */
  #samples: { atMs: number; counted: number }[] = [];
  /** The first alert of this life, what had been sent before it, and the clients that the node had seen by then. */
  #first = 0;
  #sentBefore = 0;
  #clientsSeen = 0;
  #lost = 0;
  #streamBreaks = 0;
  #random: () => number;
  #node: KubeArmorNode | undefined;
  #operator: OperatorProcess | undefined;
  #background: Promise<unknown>[] = [];
  readonly #losses: [lost: number, atMost: number][] = [];
  #kills = 0;
  /** Milliseconds since the epoch. */
  readonly #killedAt: number[] = [];
  #lives = 0;
  #peakRss = 0;
  #isApiGone = false;
  /** Of a kill without an API server, which knows what the reports hold. */
  #pendingLook: Look | undefined;
  /** Counts in reports and journal after the last kill, and alerts sent by then. */
  #base = { held: 0, sent: 0, byReport: new Map<string, Held>() };

  constructor(cluster: Cluster, options: CrashOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.seed = options.seed;
    this.#random = createRandom(options.seed);
    this.#journalDir = mkdtempSync(join(cluster.dir, "journal-"));
  }

  async start(): Promise<void> {
    // The operator is stopped on purpose while the API server starts: that must not end its stream.
    const keepalive = { timeMs: 5000, timeoutMs: 180_000 };
    this.#node = await startNode({ dropLikeKubeArmor: false, keepalive });
    await this.#runLife();
    const { signal } = this.#end;
    const alert: readonly WireAlert[] = FLOOD;
    const vary = (each: WireAlert, index: number) => this.#stampAlert(each, index);
    this.#background = [
      this.#node.flood({ alert, vary, stamp: false, ratePerSec: this.#options.ratePerSec, signal }),
      this.#sampleCounts(),
      this.#watchTheReports(),
    ];
  }

  /** Waits until this number of further alerts have been handed to the socket. */
  async waitForDelivered(count: number, withinMs = 0): Promise<void> {
    const until = this.#sentNow + count;
    await eventually(`${until} alerts sent`, () => this.#sentNow >= until, withinMs + 120_000);
  }

  /** Kills it at a random moment, looks at what is left, and starts it again. */
  async killOnce(): Promise<void> {
    await this.waitForDelivered(1 + Math.floor(this.#random() * 3 * this.#options.ratePerSec));
    await this.#noteMemory();
    const isBroken = this.#isStreamBroken;
    const atMs = Date.now();
    await this.#operator?.kill();
    this.#kills++;
    // A kill before the first report leaves nothing that could be short of something.
    if (this.#newest.size > 0) this.#killedAt.push(Date.now());
    const left = readJournal(this.#journalPath, join(this.#journalDir, `copy-${this.#kills}.db`));
    const certainMs = Math.max((left?.readUntilMs ?? 0) - BATCH_MS, atMs - SURELY_JOURNALED_MS);
    const counted = this.#samples.findLast((sample) => sample.atMs <= certainMs)?.counted ?? 0;
    const look = {
      sent: this.#sentNow,
      left,
      first: this.#first,
      sentBefore: this.#sentBefore,
      end: this.#times.length,
      counted,
      isBroken,
    };
    if (this.#isApiGone) this.#pendingLook = look;
    else await this.#settle(look);
    await this.#runLife();
  }

  async stopApiServer(): Promise<void> {
    this.#isApiGone = true;
    await this.#cluster.stopApiServer();
  }

  /** Starts it again, and looks at the reports before the operator does. */
  async startApiServer(): Promise<void> {
    this.#operator?.child.kill("SIGSTOP");
    await this.#cluster.startApiServer();
    this.#isApiGone = false;
    if (this.#pendingLook) await this.#settle(this.#pendingLook);
    this.#pendingLook = undefined;
    this.#operator?.child.kill("SIGCONT");
    await this.#waitUntilReading();
  }

  /** Waits until the operator counts what comes in: it may find its stream dead once it goes on. */
  async #waitUntilReading(): Promise<void> {
    const operator = this.#operator as OperatorProcess;
    const before = await operator.readMetric("alerts_counted_total");
    const more = this.#options.ratePerSec;
    await eventually(
      "the operator reads again",
      async () => (await operator.readMetric("alerts_counted_total")) >= before + more,
      120_000,
    );
  }

  /** Ends the load, waits until everything is written, and compares. */
  async finish(): Promise<Outcome> {
    const operator = this.#operator as OperatorProcess;
    this.#end.abort();
    await Promise.all(this.#background);
    const node = this.#node as KubeArmorNode;
    await eventually("everything sent", () => node.getStats().queued === 0);
    const counted = await waitForSettledCount(operator);
    await operator.waitForWritten(180_000);
    await this.#noteMemory();
    const reports = await listReports(this.#cluster);
    const sum = sumOccurrences(reports);
    const given = this.#sentNow - this.#sentBefore;
    this.#loseLate(this.#sentBefore);
    if (this.#isStreamBroken) {
      // The node had handed these to a socket that was closed; every report has to declare the break.
      this.#streamBreaks++;
      this.#lost += given - counted;
      if (given > counted) this.#problems.push(...reports.flatMap(findUndeclaredBreak));
    } else if (counted !== given) this.#problems.push(`the last life: ${given} sent, ${counted} counted`);
    if (sum !== this.#base.held + counted) {
      this.#problems.push(`${sum} reported; ${this.#base.held} held after the last kill, ${counted} counted since`);
    }
    if (sum + this.#lost !== this.#sentNow)
      this.#problems.push(`${this.#sentNow} sent, ${sum} reported, ${this.#lost} lost with kills`);
    for (const report of reports) this.#problems.push(...this.#findUndeclared(report));
    const recovered = await operator.readMetric("journal_recovered_occurrences_total");
    const outcome = {
      sent: this.#sentNow,
      reported: sum,
      kills: this.#kills,
      recovered,
      peakRss: this.#peakRss,
      losses: this.#losses,
      lost: this.#lost,
      streamBreaks: this.#streamBreaks,
    };
    return { problems: this.#problems, ...outcome };
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#background);
    await this.#operator?.kill();
    await this.#node?.stop();
  }

  get #sentNow(): number {
    return this.#node?.getStats().sent ?? 0;
  }

  /** True where this life has read over more than one stream. */
  get #isStreamBroken(): boolean {
    const node = this.#node as KubeArmorNode;
    return node.clients.length !== 1 || node.getStats().clientsSeen !== this.#clientsSeen;
  }

  get #journalPath(): string {
    return join(this.#journalDir, "journal.db");
  }

  async #runLife(): Promise<void> {
    const node = this.#node as KubeArmorNode;
    this.#lives++;
    this.#operator = new OperatorProcess({
      kubeconfig: this.#cluster.kubeconfigPath,
      relay: node.address,
      env: {
        ...readImageEnv(),
        PVO_JOURNAL_PATH: this.#journalPath,
        PVO_REPORTS_MIN_INTERVAL_MS: "200",
        PVO_REPORTS_MAX_INTERVAL_MS: "1000",
        PVO_FEED_RELAY_RECONNECT_MAX_MS: "200",
        // A start that looks for certificates in the API server has to wait for it.
        PVO_FEED_RELAY_TLS_MODE: "off",
      },
    });
    this.#samples = [];
    const { clientsSeen } = node.getStats();
    await eventually("the operator reads", () => node.getStats().clientsSeen > clientsSeen, 120_000);
    this.#clientsSeen = node.getStats().clientsSeen;
    const client = node.clients[0];
    this.#first = node.getStats().pushed - (client?.offered ?? 0);
    this.#sentBefore = node.getStats().sent - (client?.sent ?? 0);
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

  /**
   * After a kill: each report holds all alerts of this life up to the newest that it holds, and no other; and what had
   * been counted before a batch of the journal is held.
   */
  async #settle(look: Look): Promise<void> {
    const { sent, left, first, end, sentBefore, counted, isBroken } = look;
    this.#loseLate(sentBefore);
    // Requests of the process may still be under way in the API server.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const byReport = countHeld(left, await listReports(this.#cluster));
    const held = [...byReport.values()].reduce((sum, { occurrences }) => sum + occurrences, 0);
    const got = held - this.#base.held;
    const given = sent - sentBefore;
    const life = `life ${this.#lives}`;
    let lost = given - got;
    if (isBroken) this.#streamBreaks++;
    else {
      lost = 0;
      const before = this.#base.byReport;
      const expected = new Map<string, number>();
      for (let i = first; i < end; i++) {
        const key = this.#keys[i] as string;
        const isHeld = (this.#times[i] as number) <= (byReport.get(key)?.lastUs ?? 0);
        if (isHeld) expected.set(key, (expected.get(key) ?? 0) + 1);
        else if (i < first + given) lost++;
      }
      for (const [key, { occurrences }] of byReport) {
        const more = occurrences - (before.get(key)?.occurrences ?? 0);
        const due = expected.get(key) ?? 0;
        if (more !== due) this.#problems.push(`${life}: ${key} holds ${more}, sent up to its newest: ${due}`);
      }
    }
    this.#losses.push([lost, given - counted]);
    this.#lost += lost;
    if (got + lost !== given) this.#problems.push(`${life}: ${given} sent, ${got} held, ${lost} lost`);
    if (got < counted) this.#problems.push(`${life}: ${counted} counted before a batch, ${got} held`);
    this.#base = { held, sent, byReport };
  }

  /** Alerts handed to the socket of a process that was already dead. */
  #loseLate(sentBefore: number): void {
    this.#lost += sentBefore - this.#base.sent;
  }

  /** An alert with a time of its own, which is noted. */
  #stampAlert(alert: WireAlert, index: number): WireAlert {
    const us = Math.max((this.#times.at(-1) ?? 0) + 1, Math.floor((performance.timeOrigin + performance.now()) * 1000));
    this.#times.push(us);
    this.#keys.push(`${alert.NamespaceName}/${alert.PolicyName}`);
    return restamp(alert, us, 1000 + (index % 4_000_000));
  }

  /** Asks again and again how much was counted. */
  async #sampleCounts(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const operator = this.#operator;
      const samples = this.#samples;
      const counted = await operator?.readMetric("alerts_counted_total").catch(() => undefined);
      if (counted !== undefined) samples.push({ atMs: Date.now(), counted });
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  }

  /** No count of an object ever goes down. */
  async #watchTheReports(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const path = "/apis/reports.kubearmor.com/v1alpha1/policyviolationreports";
      const answer = await this.#cluster.request("GET", path).catch(() => undefined);
      for (const { metadata, summary } of (answer?.body?.items ?? []) as Report[]) {
        const before = this.#newest.get(metadata.uid ?? "") ?? 0;
        if (summary.occurrences < before) {
          this.#problems.push(`${metadata.name}: from ${before} down to ${summary.occurrences}`);
        }
        this.#newest.set(metadata.uid ?? "", summary.occurrences);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async #noteMemory(): Promise<void> {
    const metrics = await this.#operator?.readMetrics().catch(() => undefined);
    this.#peakRss = Math.max(this.#peakRss, metrics?.get("process_resident_memory_bytes") ?? 0);
  }
}

function findUndeclaredBreak({ metadata, coverage }: Report): string[] {
  const isDeclared = coverage.recent?.some(({ kind }) => kind === "StreamDown" || kind === "StreamEnded");
  return isDeclared ? [] : [`${metadata.namespace}/${metadata.name} does not declare a stream break`];
}

/** Counts of the operator once nothing more arrives. */
async function waitForSettledCount(operator: OperatorProcess): Promise<number> {
  let before = -1;
  return await eventually("nothing more comes in", async () => {
    const counted = await operator.readMetric("alerts_counted_total");
    const isSettled = counted === before;
    before = counted;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return isSettled && { counted };
  }).then(({ counted }) => counted);
}
