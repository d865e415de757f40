// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A store of reports in memory that behaves as the API server does: versions, conflicts, namespaces, a size limit, and
// objects that come back as JSON with their keys in another order.

import type { Report } from "../../src/api/v1alpha1.ts";
import type {
  ReadResult,
  RemoveResult,
  ReportObserver,
  ReportRef,
  ReportSink,
  ReportVersion,
  SinkError,
  WriteResult,
} from "../../src/sinks/report-sink.ts";

/** One state that the store has held. */
export interface StoredState {
  key: string;
  uid: string;
  report: Report;
}

export function toReportKey(ref: ReportRef | Report): string {
  const { namespace, name } = "metadata" in ref ? ref.metadata : ref;
  return `${namespace ?? ""}/${name}`;
}

export class MemorySink implements ReportSink {
  /** Every state that was ever stored, oldest first. */
  readonly history: StoredState[] = [];
  /** Sum of the occurrences of objects that were removed. */
  removedOccurrences = 0;
  writes = 0;
  reads = 0;
  maxBytes = Number.POSITIVE_INFINITY;
  readonly goneNamespaces = new Set<string>();
  /** Receives every change at once. */
  readonly observers = new Set<ReportObserver>();
  /** Errors that the next lists answer with. */
  readonly listErrors: SinkError[] = [];
  readonly #stored = new Map<string, string>();
  #version = 0;

  get reports(): Report[] {
    return [...this.#stored.keys()].sort().map((key) => this.get(key) as Report);
  }

  get occurrences(): number {
    return this.reports.reduce((sum, report) => sum + report.summary.occurrences, 0);
  }

  get(key: string): Report | undefined {
    const text = this.#stored.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as Report);
  }

  /** Changes a stored object as another client would. */
  edit(key: string, change: (report: Report) => void): void {
    const report = this.get(key);
    if (!report) throw new Error(`no report ${key}`);
    change(report);
    this.#put(report, report.metadata.uid as string);
  }

  /** Stores an object that this program did not write. */
  plant(report: Report): void {
    this.#put(report, `uid-${++this.#version}`);
  }

  /** Deletes an object as a user would; false when there is none. */
  removeAsUser(key: string): boolean {
    const report = this.get(key);
    if (!report) return false;
    this.removedOccurrences += report.summary.occurrences;
    for (const observer of this.observers) observer.onRemoved(report);
    return this.#stored.delete(key);
  }

  /** Deletes a namespace with all that is in it. */
  removeNamespace(namespace: string): void {
    this.goneNamespaces.add(namespace);
    for (const key of [...this.#stored.keys()]) if (key.startsWith(`${namespace}/`)) this.removeAsUser(key);
  }

  async *list(_signal: AbortSignal): AsyncIterable<Report> {
    const error = this.listErrors.shift();
    for (const [index, report] of this.reports.entries()) {
      // A page that fails after one that did not.
      if (error && index === 1) throw error;
      yield report;
    }
    if (error) throw error;
  }

  async read(ref: ReportRef, _signal: AbortSignal): Promise<ReadResult> {
    this.reads++;
    const report = this.get(toReportKey(ref));
    return report ? { kind: "found", report } : { kind: "absent" };
  }

  async write(report: Report, _signal: AbortSignal): Promise<WriteResult> {
    this.writes++;
    const key = toReportKey(report);
    const { namespace, resourceVersion } = report.metadata;
    // The size of the request comes before all else.
    if (Buffer.byteLength(JSON.stringify(report)) > this.maxBytes) {
      return { kind: "too_large", message: "etcdserver: request is too large" };
    }
    if (namespace !== undefined && this.goneNamespaces.has(namespace)) return { kind: "namespace_gone" };
    const present = this.get(key);
    if (resourceVersion !== undefined && !present) return { kind: "gone" };
    if (resourceVersion === undefined && present) return { kind: "conflict" };
    if (present && present.metadata.resourceVersion !== resourceVersion) return { kind: "conflict" };
    const uid = present?.metadata.uid ?? `uid-${++this.#version}`;
    if (report.metadata.uid !== undefined && report.metadata.uid !== uid) return { kind: "conflict" };
    return { kind: "written", report: this.#put(report, uid) };
  }

  async findAbsentNamespaces(namespaces: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    return new Set([...namespaces].filter((namespace) => this.goneNamespaces.has(namespace)));
  }

  async remove(ref: ReportRef, version: ReportVersion, _signal: AbortSignal): Promise<RemoveResult> {
    const present = this.get(toReportKey(ref));
    if (!present) return { kind: "absent" };
    const { uid, resourceVersion } = present.metadata;
    if (version.uid !== uid || version.resourceVersion !== resourceVersion) return { kind: "conflict" };
    this.removeAsUser(toReportKey(ref));
    return { kind: "removed" };
  }

  #put(report: Report, uid: string): Report {
    const metadata = {
      ...report.metadata,
      uid,
      creationTimestamp: report.metadata.creationTimestamp ?? "2026-11-23T10:00:00Z",
      resourceVersion: String(++this.#version),
    };
    const stored = sortKeys({ ...report, metadata }) as Report;
    this.#stored.set(toReportKey(stored), JSON.stringify(stored));
    this.history.push({ key: toReportKey(stored), uid, report: stored });
    for (const observer of this.observers) observer.onStored(structuredClone(stored), "changed");
    return structuredClone(stored);
  }
}

/** As Go prints a map: keys in alphabetical order. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sortKeys(v)]));
}
