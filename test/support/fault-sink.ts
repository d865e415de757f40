// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A sink that goes wrong at the n-th call, and from then on works again.

import { MARKS_ANNOTATION } from "../../src/api/names.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import type {
  ReadResult,
  RemoveResult,
  ReportRef,
  ReportSink,
  ReportVersion,
  WriteResult,
} from "../../src/sinks/report-sink.ts";
import { type MemorySink, toReportKey } from "./memory-sink.ts";

/** Faults. The first six change the store, the rest only the answer. */
export const FAULTS = [
  "foreign_labels",
  "foreign_counts",
  "user_deletes",
  "namespace_gone",
  "too_large",
  "unknown_after",
  "retry_after",
  "unknown_before",
  "retry_before",
  "refused",
] as const;
export type Fault = (typeof FAULTS)[number];

/**
 * The process is killed during the call, so that the answer is not read: the write had not reached the store and never
 * will, or had, or reaches it when the next process has already looked.
 */
export const KILLS = ["killed_before", "killed_after", "killed_late"] as const;
export type Kill = (typeof KILLS)[number];

/** Additions of another writer to a report. */
export const FOREIGN_OCCURRENCES = 7;

/** A limit that leaves room for metadata above the least that a report can be cut to. */
const MIN_LIMIT_BYTES = 5000;

export class FaultSink implements ReportSink {
  /** Calls that were made. */
  calls = 0;
  /** Occurrences that "another writer" added. */
  foreignOccurrences = 0;
  /** Faults that really happened. */
  readonly hit: Fault[] = [];
  readonly #store: MemorySink;
  readonly #faults: ReadonlyMap<number, Fault | Kill>;
  /** Kind of the kill, once it happened: no call is answered any more. */
  killed: Kill | undefined;
  /** Under way when the process was killed. */
  late: Report | undefined;

  constructor(store: MemorySink, faults: ReadonlyMap<number, Fault | Kill>) {
    this.#store = store;
    this.#faults = faults;
  }

  list(signal: AbortSignal): AsyncIterable<Report> {
    return this.#store.list(signal);
  }

  async read(ref: ReportRef, signal: AbortSignal): Promise<ReadResult> {
    const fault = this.#takeNext();
    if (isKill(fault)) return await this.#killProcess(fault);
    if (fault === "refused") return { kind: "refused", message: "injected" };
    if (fault?.startsWith("retry") || fault?.startsWith("unknown")) return { kind: "retry", message: "injected" };
    if (fault) this.#changeObject(fault, toReportKey(ref), ref.namespace);
    return await this.#store.read(ref, signal);
  }

  async write(report: Report, signal: AbortSignal): Promise<WriteResult> {
    const fault = this.#takeNext();
    if (isKill(fault)) {
      if (fault === "killed_after") await this.#store.write(report, signal);
      if (fault === "killed_late") this.late = report;
      return await this.#killProcess(fault);
    }
    switch (fault) {
      case "unknown_before":
        return { kind: "unknown", message: "injected" };
      case "retry_before":
        return { kind: "retry", message: "injected", retryAfterMs: 3000 };
      case "refused":
        return { kind: "refused", message: "injected" };
      case "unknown_after":
        await this.#store.write(report, signal);
        return { kind: "unknown", message: "injected" };
      case "retry_after":
        await this.#store.write(report, signal);
        return { kind: "retry", message: "injected" };
      case "too_large":
        // From now on the store takes no report as large as this one.
        this.#store.maxBytes = Math.max(MIN_LIMIT_BYTES, Buffer.byteLength(JSON.stringify(report)) - 1);
        return { kind: "too_large", message: "injected" };
      default:
        if (fault) this.#changeObject(fault, toReportKey(report), report.metadata.namespace);
    }
    return await this.#store.write(report, signal);
  }

  findAbsentNamespaces(namespaces: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    return this.#store.findAbsentNamespaces(namespaces);
  }

  async remove(ref: ReportRef, version: ReportVersion, signal: AbortSignal): Promise<RemoveResult> {
    const fault = this.#takeNext();
    if (isKill(fault)) return await this.#killProcess(fault);
    if (fault === "refused") return { kind: "refused", message: "injected" };
    if (fault === "unknown_before") return { kind: "unknown", message: "injected" };
    if (fault === "retry_before") return { kind: "retry", message: "injected" };
    if (fault === "unknown_after" || fault === "retry_after") {
      await this.#store.remove(ref, version, signal);
      return { kind: fault === "unknown_after" ? "unknown" : "retry", message: "injected" };
    }
    if (fault) this.#changeObject(fault, toReportKey(ref), ref.namespace);
    return await this.#store.remove(ref, version, signal);
  }

  #takeNext(): Fault | Kill | undefined {
    const fault = this.#faults.get(++this.calls);
    if (this.killed) return "killed_before";
    if (fault && !isKill(fault)) this.hit.push(fault);
    return fault;
  }

  async #killProcess(how: Kill): Promise<never> {
    this.killed ??= how;
    return await new Promise<never>(() => {});
  }

  /** Another client changes the object just before the call. */
  #changeObject(fault: Fault, key: string, namespace: string | undefined): void {
    if (fault === "namespace_gone") {
      if (namespace !== undefined) this.#store.removeNamespace(namespace);
    } else if (fault === "user_deletes") {
      this.#store.removeAsUser(key);
    } else if (!this.#store.get(key)) {
      return;
    } else if (fault === "foreign_labels") {
      this.#store.edit(key, ({ metadata }) => {
        metadata.labels = { ...metadata.labels, team: "blue" };
        metadata.annotations = { ...metadata.annotations, note: "mine" };
        metadata["finalizers"] = ["example.com/keep"];
      });
    } else if (fault === "foreign_counts") {
      this.foreignOccurrences += FOREIGN_OCCURRENCES;
      this.#store.edit(key, (report) => countMore(report, `writer-b/${this.calls}`));
    }
  }
}

function isKill(fault: Fault | Kill | undefined): fault is Kill {
  return fault?.startsWith("killed") ?? false;
}

/** The work of a second operator: count more and sign, never twice alike, before those who wrote earlier. */
function countMore(report: Report, mark: string): void {
  const [first] = report.violations;
  if (first) first.occurrences += FOREIGN_OCCURRENCES;
  else if (report.omitted) report.omitted.occurrences += FOREIGN_OCCURRENCES;
  else throw new Error("expected a violation, listed or not");
  const { outcome = "Unknown" } = first ?? {};
  report.summary.occurrences += FOREIGN_OCCURRENCES;
  report.summary[outcome === "Prevented" ? "prevented" : outcome === "Allowed" ? "allowed" : "unknown"] +=
    FOREIGN_OCCURRENCES;
  const { annotations } = report.metadata;
  const others = annotations?.[MARKS_ANNOTATION]?.split(" ").filter((m) => !m.startsWith("writer-b/")) ?? [];
  report.metadata.annotations = { ...annotations, [MARKS_ANNOTATION]: [mark, ...others].join(" ") };
}
