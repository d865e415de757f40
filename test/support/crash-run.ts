// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator under load that is killed again and again, and the books of it all: what the node handed to the socket,
// what stands in reports and journal after each kill, what the reports tell in the end.

import { copyFileSync, existsSync, mkdtempSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../src/api/v1alpha1.ts";
import { landedSeq } from "../../src/controller/watermark.ts";
import { recoverSet } from "../../src/core/recovered.ts";
import type { Recovered } from "../../src/journal/journal.ts";
import { sqliteJournal } from "../../src/journal/sqlite.ts";
import { makeAlert, spread, type WireAlert } from "../kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../kubearmor-node/node.ts";
import { startNode } from "../kubearmor-node/server.ts";
import type { Cluster } from "./cluster.ts";
import { eventually, OperatorProcess } from "./operator.ts";
import { allReports, told } from "./reports.ts";

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
  told: number;
  kills: number;
  /** Occurrences that the last life got back from the journal. */
  recovered: number;
  /** Largest resident memory that was seen, in bytes. */
  peakRss: number;
  /** Of each kill: what was lost, and what had been sent since the last batch. */
  losses: [lost: number, sinceBatch: number][];
}

/** What is left by a kill. */
interface Look {
  sent: number;
  left: Recovered | undefined;
  /** When the journal last took a batch, in milliseconds since the epoch. */
  journaledMs: number;
}

/** HTTP/2's window and what gRPC takes beyond it, over the size of the smallest alert of the load. */
const SOCKET_ALERTS = Math.ceil((256 * 1024 + 64 * 1024) / 500);
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
  /** How many alerts had been sent, and when, in milliseconds since the epoch. */
  readonly #sent: { atMs: number; sent: number }[] = [];
  #random: () => number;
  #node: KubeArmorNode | undefined;
  #operator: OperatorProcess | undefined;
  #background: Promise<unknown>[] = [];
  /** Of each kill: what was lost, and what had been sent since the last batch. */
  readonly #losses: [lost: number, sinceBatch: number][] = [];
  #kills = 0;
  /** Milliseconds since the epoch. */
  readonly #killedAt: number[] = [];
  #lives = 0;
  #peakRss = 0;
  #isApiGone = false;
  /** Of a kill without an API server, which knows what the reports tell. */
  #untold: Look | undefined;
  /** What reports and journal held after the last kill, and what had been sent by then. */
  #base = { held: 0, sent: 0 };

  constructor(cluster: Cluster, options: CrashOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.seed = options.seed;
    this.#random = randomFrom(options.seed);
    this.#journalDir = mkdtempSync(join(cluster.dir, "journal-"));
  }

  async start(): Promise<void> {
    this.#node = await startNode({ dropLikeKubeArmor: false });
    await this.#live();
    const { signal } = this.#end;
    const alert: readonly WireAlert[] = FLOOD;
    this.#background = [
      this.#node.flood({ alert, ratePerSec: this.#options.ratePerSec, signal }),
      this.#watchTheNode(),
      this.#watchTheReports(),
    ];
  }

  /** Waits until so many more alerts have been handed to the socket. */
  async delivered(count: number, withinMs = 0): Promise<void> {
    const until = this.#sentNow + count;
    await eventually(`${until} alerts sent`, () => this.#sentNow >= until, withinMs + 120_000);
  }

  /** Kills it at a random moment, looks at what is left, and starts it again. */
  async killOnce(): Promise<void> {
    await this.delivered(1 + Math.floor(this.#random() * 3 * this.#options.ratePerSec));
    await this.#noteMemory();
    await this.#operator?.kill();
    this.#kills++;
    // A kill before the first report leaves nothing that could be short of something.
    if (this.#newest.size > 0) this.#killedAt.push(Date.now());
    const look = { sent: this.#sentNow, left: this.#readJournal(), journaledMs: this.#journaledMs() };
    if (this.#isApiGone) this.#untold = look;
    else await this.#settle(look);
    await this.#live();
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
    if (this.#untold) await this.#settle(this.#untold);
    this.#untold = undefined;
    this.#operator?.child.kill("SIGCONT");
  }

  /** Ends the load, waits until everything is written, and compares. */
  async finish(): Promise<Outcome> {
    const operator = this.#operator as OperatorProcess;
    this.#end.abort();
    await Promise.all(this.#background);
    const node = this.#node as KubeArmorNode;
    await eventually("everything sent", () => node.stats().queued === 0);
    const counted = await settledCount(operator);
    await operator.written(180_000);
    await this.#noteMemory();
    const reports = await allReports(this.#cluster);
    const sum = told(reports);
    if (sum !== this.#base.held + counted) {
      this.#problems.push(
        `${sum} told; ${this.#base.held} held after the last kill, ${counted} counted since`,
      );
    }
    for (const report of reports) this.#problems.push(...this.#undeclared(report));
    const recovered = await operator.metric("journal_recovered_occurrences_total");
    const outcome = {
      sent: this.#sentNow,
      told: sum,
      kills: this.#kills,
      recovered,
      peakRss: this.#peakRss,
      losses: this.#losses,
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
    return this.#node?.stats().sent ?? 0;
  }

  get #journalPath(): string {
    return join(this.#journalDir, "journal.db");
  }

  async #live(): Promise<void> {
    const node = this.#node as KubeArmorNode;
    this.#lives++;
    this.#operator = new OperatorProcess({
      kubeconfig: this.#cluster.kubeconfigPath,
      relay: node.address,
      env: {
        PVO_JOURNAL_PATH: this.#journalPath,
        PVO_REPORTS_MIN_INTERVAL_MS: "200",
        PVO_REPORTS_MAX_INTERVAL_MS: "1000",
        PVO_FEED_RELAY_RECONNECT_MAX_MS: "200",
        // Where certificates are looked for in the API server, a start has to wait for it.
        PVO_FEED_RELAY_TLS_MODE: "off",
      },
    });
    const { clientsSeen } = node.stats();
    await eventually("the operator reads", () => node.stats().clientsSeen > clientsSeen, 120_000);
  }

  /** Kills that the report does not tell of; of its gaps the newest are told one by one. */
  #undeclared({ metadata, coverage }: Report): string[] {
    const gaps = (coverage.recent ?? []).filter(({ kind }) => kind === "NotRunning");
    const oldest = Math.min(...gaps.map(({ from }) => Date.parse(from)));
    const isTold = (ms: number) =>
      gaps.some(({ from, to }) => Date.parse(from) <= ms && (to === undefined || Date.parse(to) >= ms));
    const untold = this.#killedAt.filter((ms) => ms >= oldest && !isTold(ms));
    const isMarked = coverage.lowerBound && gaps.length > 0;
    if (untold.length === 0 && (isMarked || this.#killedAt.length === 0)) return [];
    const times = untold.map((ms) => new Date(ms).toISOString());
    return [`${metadata.namespace}/${metadata.name} does not tell of kills: ${times}`];
  }

  /** After a kill: what is held may be neither more than what was sent, nor less than what was in the journal's reach. */
  async #settle({ sent, left, journaledMs }: Look): Promise<void> {
    // What the process had sent may still be under way in the API server.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const reports = await allReports(this.#cluster);
    const held = told(reports) + unresolved(left, reports);
    const got = held - this.#base.held;
    const given = sent - this.#base.sent;
    const late = sent - this.#sentAt(journaledMs);
    if (got > given) this.#problems.push(`life ${this.#lives}: ${given} sent, ${got} counted`);
    const bound = late + SOCKET_ALERTS;
    this.#losses.push([given - got, late]);
    if (given - got > bound)
      this.#problems.push(`life ${this.#lives}: ${given - got} lost, ${bound} allowed`);
    this.#base = { held, sent };
  }

  #journaledMs(): number {
    const times = ["", "-wal"].map(
      (part) => statSync(this.#journalPath + part, { throwIfNoEntry: false })?.mtimeMs,
    );
    return Math.max(...times.map((ms) => ms ?? 0));
  }

  /** The journal as the killed process left it; the original stays untouched. */
  #readJournal(): Recovered | undefined {
    const copy = join(this.#journalDir, `copy-${this.#kills}.db`);
    for (const part of ["", "-wal"]) {
      if (existsSync(this.#journalPath + part)) copyFileSync(this.#journalPath + part, copy + part);
    }
    const journal = sqliteJournal({ path: copy, maxBytes: 2 ** 30 })();
    journal.close();
    return journal.recovered;
  }

  #sentAt(ms: number): number {
    return this.#sent.findLast(({ atMs }) => atMs <= ms)?.sent ?? 0;
  }

  async #watchTheNode(): Promise<void> {
    while (!this.#end.signal.aborted) {
      this.#sent.push({ atMs: Date.now(), sent: this.#sentNow });
      await new Promise((resolve) => setTimeout(resolve, 10));
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
    const metrics = await this.#operator?.metrics().catch(() => undefined);
    this.#peakRss = Math.max(this.#peakRss, metrics?.get("process_resident_memory_bytes") ?? 0);
  }
}

/** Occurrences of the journal that no report holds. */
function unresolved(left: Recovered | undefined, reports: readonly Report[]): number {
  let sum = 0;
  for (const { namespace, policyName, layers } of left?.reports ?? []) {
    const stored = reports.find((r) => r.metadata.namespace === namespace && r.policy.name === policyName);
    const landed = landedSeq(stored?.metadata, left?.writerId ?? "");
    for (const layer of layers) if (layer.seq > landed) sum += recoverSet(layer).totals.occurrences;
  }
  return sum;
}

/** What the operator has counted, once nothing more comes in. */
async function settledCount(operator: OperatorProcess): Promise<number> {
  let before = -1;
  return await eventually("nothing more comes in", async () => {
    const counted = await operator.metric("alerts_counted_total");
    const isSettled = counted === before;
    before = counted;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return isSettled && { counted };
  }).then(({ counted }) => counted);
}

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
