// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The whole pipeline on a fake clock over a store in memory: how a run is made, and what must hold after any run.

import type { Disconnect } from "../../src/api/alert-stream.ts";
import { MANAGED_BY_LABEL, MARKS_ANNOTATION } from "../../src/api/names.ts";
import type { CoveredNodes, Report, Violation } from "../../src/api/v1alpha1.ts";
import { Pipeline, type PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import type { EventUpdate, Regarding } from "../../src/events/event-recorder.ts";
import type { Batch, Journal, OpenJournal } from "../../src/journal/journal.ts";
import { Journaling } from "../../src/journal/journal-writer.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Fault, FaultSink, type Kill } from "../support/fault-sink.ts";
import { alert, createPipelineOptions, formatTimeAt, hostAlert, START_MS, throttleNotice } from "../support/gen.ts";
import { MemorySink, type StoredState } from "../support/memory-sink.ts";
import { sendRaw } from "../support/send-raw.ts";
import { SIGNAL } from "../support/signal.ts";
import { findFaults } from "../unit/report/report-check.ts";

/** One process's life. Several may share a store, one after the other. */
export class Simulation {
  readonly clock: FakeClock;
  readonly store: MemorySink;
  readonly sink: FaultSink;
  readonly pipeline: Pipeline;
  readonly journaling: Journaling | undefined;
  readonly occurrences: EventUpdate[] = [];
  /** Alerts that had been counted when the journal took its newest batch. */
  countedInJournal = 0;
  /** Counts still pending when nothing had happened for a long time; only runScript finds out. */
  unwrittenWhenQuiet = 0;
  /** Outcome and time of each write. */
  readonly results: { kind: string; atMs: number }[] = [];

  constructor(
    parts: {
      faults?: ReadonlyMap<number, Fault | Kill>;
      journal?: OpenJournal;
      /** Default 50. */
      batchIntervalMs?: number;
      /** Of a journal that begins; default `writer-j`. */
      journalId?: string;
      store?: MemorySink;
      clock?: FakeClock;
      options?: Partial<PipelineOptions>;
      self?: Regarding;
      nodes?: () => CoveredNodes | undefined;
      otherNowMs?: () => number;
    } = {},
  ) {
    this.clock = parts.clock ?? new FakeClock(START_MS);
    this.store = parts.store ?? new MemorySink();
    this.sink = new FaultSink(this.store, parts.faults ?? new Map());
    const open = parts.journal;
    this.journaling =
      open &&
      new Journaling({
        open: () => this.#watchJournal(open()),
        batchIntervalMs: parts.batchIntervalMs ?? 50,
        freshWriterId: parts.journalId ?? "writer-j",
        clock: this.clock,
        logger: silentLogger,
      });
    const pipeline = new Pipeline(createPipelineOptions(parts.options), {
      journaling: this.journaling,
      sink: this.sink,
      events: { record: (occurrence) => this.occurrences.push(occurrence) },
      self: parts.self,
      nodes: parts.nodes,
      otherNowMs: parts.otherNowMs,
      clock: this.clock,
      logger: silentLogger,
      onWriteResult: (kind) => this.results.push({ kind, atMs: this.clock.elapsedMs }),
    });
    this.pipeline = sendRaw(pipeline);
  }

  /** Notes what a batch protects. A killed process writes no batch any more. */
  #watchJournal(journal: Journal): Journal {
    const write = (batch: Batch): void => {
      if (this.sink.killed) return;
      journal.write(batch);
      this.countedInJournal = this.pipeline.counters.counted;
    };
    return {
      recovered: journal.recovered,
      lost: journal.lost,
      get bytes() {
        return journal.bytes;
      },
      begin: (life) => journal.begin(life),
      reserve: (seq) => journal.reserve(seq),
      write,
      readViolations: (report, seq, after) => journal.readViolations(report, seq, after),
      close: () => journal.close(),
      discard: () => journal.discard(),
    };
  }

  /** Alerts of a killed process that only its memory held. */
  get unprotected(): number {
    return this.sink.killed ? this.pipeline.counters.counted - this.countedInJournal : 0;
  }

  /** Hands alerts to the pipeline, in this turn. */
  send(...alerts: Parameters<Pipeline["onAlert"]>[0][]): void {
    for (const each of alerts) this.pipeline.onAlert(each, 0);
  }

  /** Hands alerts to the pipeline, and lets `ms` pass. */
  async sendAndWait(ms: number, ...alerts: Parameters<Pipeline["onAlert"]>[0][]): Promise<void> {
    this.send(...alerts);
    await this.clock.advance(ms);
  }

  /** Lists, connects and begins to write. */
  async start(): Promise<void> {
    await this.settleWhile(this.pipeline.load(SIGNAL));
    this.pipeline.onConnected();
    this.pipeline.controller.start();
  }

  disconnect(reason: Disconnect["reason"] = "error"): void {
    const atMs = this.clock.nowMs();
    this.pipeline.onDisconnected({ atMs, lastReadMs: atMs - 100, reason, message: "injected" });
  }

  /** Ends as the program does: no more alerts, write what is left within `graceMs`. */
  async stop(graceMs = 120_000): Promise<void> {
    const deadline = new AbortController();
    const cancel = this.clock.after(graceMs, () => deadline.abort());
    await this.settleWhile(this.pipeline.controller.flush(deadline.signal));
    cancel();
  }

  /** Lets time pass until the promise settles. */
  async settleWhile(promise: Promise<unknown>): Promise<void> {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    for (let i = 0; !settled; i++) {
      if (i > 5000) throw new Error("did not settle");
      await this.clock.advance(i === 0 ? 0 : 500);
    }
    await done;
  }
}

/** A life that has listed, is connected and writes. */
export async function startSimulation(parts?: ConstructorParameters<typeof Simulation>[0]): Promise<Simulation> {
  const simulation = new Simulation(parts);
  await simulation.start();
  return simulation;
}

const HOST = { PolicyName: "host-files" };
/** Makes each violation a few kilobytes long, so that a report can be too large. */
const BULK = { Data: "d".repeat(500), Cwd: `/${"c".repeat(500)}`, Labels: "l".repeat(500), TTY: "t".repeat(500) };
const NEW_FILE = { Operation: "File", Result: "Passed", Action: "Audit", Resource: "/etc/shadow", ...BULK };

/** Events by their time, in milliseconds from the start. Every kind of change comes at least once. */
export const SCRIPT: readonly (readonly [number, (s: Simulation) => void])[] = [
  [0, (simulation) => simulation.send(alert({ HostPID: 1, ...BULK }), alert({ HostPID: 2, ...BULK }), hostAlert(HOST))],
  [0, (simulation) => simulation.send(alert({ NamespaceName: "bank", OwnerNamespace: "bank" }))],
  // The very same alert again.
  [300, (simulation) => simulation.send(alert({ HostPID: 1, ...BULK }))],
  [1500, (simulation) => simulation.send(alert(NEW_FILE, { UpdatedTime: formatTimeAt(1400) }))],
  [1500, (simulation) => simulation.send(alert({ PolicyName: "", Type: "Odd" }))],
  [
    6000,
    (simulation) =>
      simulation.send(alert({ UpdatedTime: formatTimeAt(5900) }), hostAlert({ UpdatedTime: formatTimeAt(5901) })),
  ],
  [8000, (s) => s.disconnect("ok_end")],
  [8500, (s) => s.disconnect("connect_failed")],
  [9500, ({ pipeline }) => pipeline.onConnected()],
  [12_000, (simulation) => simulation.send(throttleNotice({ UpdatedTime: formatTimeAt(12_000) }))],
  [
    20_000,
    (simulation) =>
      simulation.send(
        alert({ PodName: "web-2", UpdatedTime: formatTimeAt(19_990), ...BULK }),
        // Out of order.
        alert({ PodName: "web-2", UpdatedTime: formatTimeAt(2000), Result: "", ...BULK }),
        alert({ NamespaceName: "bank", OwnerNamespace: "bank", UpdatedTime: formatTimeAt(19_000) }),
      ),
  ],
  // Another replica might lead for a moment.
  [30_000, ({ pipeline }) => void pipeline.controller.suspend()],
  [31_000, (simulation) => simulation.send(alert({ UpdatedTime: formatTimeAt(30_500) }))],
  [33_000, ({ pipeline }) => pipeline.controller.start()],
  // One report waits for its pace while another is written.
  [45_000, (simulation) => simulation.send(alert({ UpdatedTime: formatTimeAt(45_000) }))],
  [46_000, (simulation) => simulation.send(alert({ UpdatedTime: formatTimeAt(46_000) }))],
  [
    47_500,
    (simulation) =>
      simulation.send(
        alert(NEW_FILE, { NamespaceName: "bank", OwnerNamespace: "bank", UpdatedTime: formatTimeAt(47_500) }),
      ),
  ],
  [64_000, (simulation) => simulation.send(alert(NEW_FILE, { UpdatedTime: formatTimeAt(63_000) }))],
];

/** A change of the wall clock at a time of the script, both in milliseconds. */
export type ClockStep = readonly [atMs: number, byMs: number];

/** Runs the script from start to stop, with the wall clock being set meanwhile. */
export async function runScript(simulation: Simulation, steps: readonly ClockStep[] = []): Promise<void> {
  await simulation.start();
  const { clock } = simulation;
  const set = steps.map(([atMs, byMs]) => [atMs, () => clock.stepWall(byMs)] as const);
  for (const [atMs, act] of [...SCRIPT, ...set].sort(([a], [b]) => a - b)) {
    await clock.advance(atMs - clock.elapsedMs);
    act(simulation);
  }
  await simulation.clock.advance(5 * 60_000);
  simulation.unwrittenWhenQuiet = simulation.pipeline.aggregator.stats.unwritten;
  await simulation.stop();
}

/** Everything that is wrong after a run, in words. */
export function findProblems(simulation: Simulation, exact = true): string[] {
  const { pipeline, store, sink, unwrittenWhenQuiet } = simulation;
  const { counters, aggregator } = pipeline;
  const problems: string[] = [];
  if (unwrittenWhenQuiet > 0) problems.push(`${unwrittenWhenQuiet} wait for another alert to be written`);
  if (!counters.isReconciled) problems.push(`counters: ${JSON.stringify(counters)}`);
  const reported = store.occurrences + store.removedOccurrences + aggregator.stats.unwritten - sink.foreignOccurrences;
  if (exact ? reported !== counters.counted : reported < counters.counted) {
    problems.push(`${counters.counted} counted, ${reported} reported or pending`);
  }
  const held = [...aggregator.ledgers.values()].reduce((sum, ledger) => sum + ledger.entries.size, 0);
  if (aggregator.stats.violations !== held) problems.push(`${aggregator.stats.violations} held, really ${held}`);
  for (const { key, report } of store.history.filter(isOurs)) {
    problems.push(...findFaults(report).map((fault) => `${key}: ${fault}`));
    if (report.metadata.labels?.[MANAGED_BY_LABEL] !== "policy-violation-operator") problems.push(`${key}: label`);
  }
  problems.push(...findBackwardSteps(store.history, counters.joined > 0));
  problems.push(...findLostMetadata(store.history));
  return problems;
}

function isOurs({ report }: StoredState): boolean {
  return !report.metadata.annotations?.[MARKS_ANNOTATION]?.startsWith("writer-b");
}

/**
 * Counts that went down, or times that went the wrong way, between two states of the same object. `mayJoin`: violations may join
 * others, once a name is known.
 */
export function findBackwardSteps(history: readonly StoredState[], mayJoin = false): string[] {
  const newest = new Map<string, Report>();
  const problems: string[] = [];
  for (const { key, uid, report } of history) {
    const before = newest.get(uid);
    const back = before ? compareReports(before, report) : [];
    const mayFall = new Set<string>();
    if (mayJoin) for (const what of ["violations", ...listNameless(before)]) mayFall.add(what);
    if (mayJoin || (before && hasNewOwner(before, report))) mayFall.add("workloads");
    const wrong = back.filter((what) => !mayFall.has(what));
    problems.push(...wrong.map((what) => `${key}: ${what} went back`));
    newest.set(uid, report);
  }
  return problems;
}

/** Violations of which alerts may join others once the owner of the pod or the name of the container is known; by id. */
function listNameless(report?: Report): string[] {
  const isNameless = ({ workload, container }: Violation) => workload?.kind === "Pod" || container === undefined;
  return report?.violations.filter(isNameless).map(({ id }) => id) ?? [];
}

/** True where a violation was listed under its pod, and the owner of the pod is known since. */
function hasNewOwner(before: Report, after: Report): boolean {
  const ids = new Set(after.violations.map(({ id }) => id));
  return before.violations.some(({ id, workload }) => workload?.kind === "Pod" && !ids.has(id));
}

function compareReports(before: Report, after: Report): string[] {
  const found: string[] = [];
  const { summary: a, coverage: c } = before;
  const { summary: b, coverage: d } = after;
  for (const name of ["occurrences", "prevented", "allowed", "unknown", "violations", "workloads", "pods", "nodes"]) {
    if (b[name as "pods"] < a[name as "pods"]) found.push(name);
  }
  if (b.firstSeen > a.firstSeen) found.push("firstSeen");
  if (b.lastSeen < a.lastSeen) found.push("lastSeen");
  if (d.gaps < c.gaps || d.throttleNotices < c.throttleNotices) found.push("coverage");
  if ((d.rejected ?? 0) < (c.rejected ?? 0)) found.push("rejected");
  if ((d.withoutDetails ?? 0) < (c.withoutDetails ?? 0)) found.push("withoutDetails");
  const known = new Map(after.violations.map((violation) => [violation.id, violation]));
  for (const { id, occurrences } of before.violations) {
    const now = known.get(id);
    if (now && now.occurrences < occurrences) found.push(id);
  }
  return found;
}

/** Additions of others to an object that are gone while the object lives. */
function findLostMetadata(history: readonly StoredState[]): string[] {
  const touched = new Set<string>();
  const problems: string[] = [];
  for (const { key, uid, report } of history) {
    const { labels, annotations, finalizers } = report.metadata;
    const kept = labels?.["team"] === "blue" && annotations?.["note"] === "mine" && Array.isArray(finalizers);
    if (touched.has(uid) && !kept) problems.push(`${key}: foreign metadata is gone`);
    if (kept) touched.add(uid);
  }
  return problems;
}
