// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where reports are kept. One implementation writes to the Kubernetes API, one to a directory.
// Invariant: a sink keeps no counts and never merges; it says what happened, and the writer decides.

import type { Report } from "../api/v1alpha1.ts";

/** Which report: no namespace means the cluster report. */
export interface ReportRef {
  namespace?: string;
  name: string;
}

/** What became of a write. Only `written` and `unknown` may have changed the store. */
export type WriteResult =
  | { kind: "written"; report: Report }
  /** The stored object is another one than the one that was read (resourceVersion, or it exists already). */
  | { kind: "conflict" }
  /** There is no object to replace: somebody deleted it. */
  | { kind: "gone" }
  /** The namespace does not exist or is being deleted. */
  | { kind: "namespace_gone" }
  /** The store refuses an object of this size. */
  | { kind: "too_large"; message: string }
  /** Answered: try later (429, 5xx). */
  | { kind: "retry"; message: string; retryAfterMs?: number }
  /** Not answered (time-out, connection lost): the write may have happened. Read again before the next one. */
  | { kind: "unknown"; message: string }
  /** Refused for a reason that only a person can mend; `message` says which and what to do. */
  | { kind: "refused"; reason: "forbidden" | "unauthorized" | "not_served" | "invalid"; message: string };

/** What a read gave. */
export type ReadResult =
  | { kind: "found"; report: Report }
  | { kind: "absent" }
  | { kind: "retry"; message: string; retryAfterMs?: number }
  | { kind: "refused"; reason: "forbidden" | "unauthorized" | "not_served" | "invalid"; message: string };

/** Exactly which object: another one of the same name, or a later state of it, stays. */
export interface ReportVersion {
  uid: string | undefined;
  resourceVersion: string | undefined;
}

/** What became of a removal. Only `removed` and `unknown` may have changed the store. */
export type RemoveResult =
  | { kind: "removed" }
  /** There is no such object. */
  | { kind: "absent" }
  | Extract<WriteResult, { kind: "conflict" | "retry" | "unknown" | "refused" }>;

export interface ReportSink {
  /** Every stored report that this operator manages, page by page; throws SinkError when a page can't be had. */
  list(signal: AbortSignal): AsyncIterable<Report>;
  read(ref: ReportRef, signal: AbortSignal): Promise<ReadResult>;
  /** Creates when metadata.resourceVersion is absent, else replaces exactly that version. */
  write(report: Report, signal: AbortSignal): Promise<WriteResult>;
  /** Removes exactly that version. */
  remove(ref: ReportRef, version: ReportVersion, signal: AbortSignal): Promise<RemoveResult>;
}

/** Who is told what the store holds; must not throw and must not wait. */
export interface ReportObserver {
  /** A report as it stands now: found in a list, or just created or changed by anybody. May be told more than once. */
  onStored(report: Report, how: "listed" | "changed"): void;
  /** Every report of this kind that is stored has been told; from now on one that is not known is a new one. */
  onListed(kind: Report["kind"]): void;
  /** A report is gone; `report` is what it told last. */
  onRemoved(report: Report): void;
}

/** PORT: follows what others write. */
export interface ReportWatch {
  /** Tells every stored report and then every change, until the signal aborts. Tries for ever, never rejects. */
  run(observer: ReportObserver, signal: AbortSignal): Promise<void>;
  /** Why changes are not told at the moment, in a sentence; undefined while they are. */
  readonly problem: string | undefined;
}

/** A list that could not be had; `reason` and `retryAfterMs` as in ReadResult. */
export class SinkError extends Error {
  override name = "SinkError";
  readonly retryAfterMs: number | undefined;
  readonly refused: boolean;
  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number; refused?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
    this.refused = options.refused ?? false;
  }
}
