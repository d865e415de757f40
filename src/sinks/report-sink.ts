// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where reports are kept. One implementation writes to the Kubernetes API, one to a directory.
// Invariant: a sink keeps no counts and never merges; it says what happened, and the writer decides.

import type { Report } from "../api/v1alpha1.ts";
import type { ObjectPath } from "../lib/object-key.ts";

/** Identity of a report: no namespace means the cluster report. */
export type ReportRef = ObjectPath;

/** Outcome of a write. Only `written` and `unknown` may have changed the store. */
export type WriteResult =
  | { kind: "written"; report: Report }
  /** The stored object is not the one that was read (resourceVersion), or it exists already. */
  | { kind: "conflict" }
  /** The object to replace does not exist: it was deleted. */
  | { kind: "gone" }
  /** The namespace does not exist or is being deleted. */
  | { kind: "namespace_gone" }
  /** The store refuses an object of this size. */
  | { kind: "too_large"; message: string }
  /** Answered: try later (429, 5xx). */
  | { kind: "retry"; message: string; retryAfterMs?: number | undefined }
  /** Not answered (time-out, connection lost): the write may have happened. Read again before the next one. */
  | { kind: "unknown"; message: string }
  /** Refused for a reason that only a person can fix; `message` states it and the remedy. */
  | { kind: "refused"; message: string };

export type ReadResult =
  | { kind: "found"; report: Report }
  | { kind: "absent" }
  | { kind: "retry"; message: string; retryAfterMs?: number | undefined }
  | { kind: "refused"; message: string };

/** The exact object: another one of the same name, or a later version, is kept. */
export interface ReportVersion {
  uid: string | undefined;
  resourceVersion: string | undefined;
}

/** Outcome of a removal. Only `removed` and `unknown` may have changed the store. */
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
  /** True for a stored report with another cluster label than a write would give it. */
  isMislabeled?(report: Report): boolean;
  /**
   * Returns those of the namespaces that do not exist; throws SinkError where they can't be listed. Default: each is
   * tried by a write.
   */
  findAbsentNamespaces?(namespaces: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Removes exactly that version. */
  remove(ref: ReportRef, version: ReportVersion, signal: AbortSignal): Promise<RemoveResult>;
}

/** Receiver of the store's contents; must not throw and must not wait. */
export interface ReportObserver {
  /** Receives a report as stored: from a list, or just created or changed by any writer. May repeat. */
  onStored(report: Report, how: "listed" | "changed"): void;
  /** Follows the last stored report of this kind in a list; a report that first appears later is new. */
  onListed(kind: Report["kind"]): void;
  /** Receives the last known state of a report that is gone. */
  onRemoved(report: Report): void;
}

/** PORT: follows what others write. */
export interface ReportWatch {
  /** Reports every stored report and then every change, until the signal aborts. Retries forever, never rejects. */
  run(observer: ReportObserver, signal: AbortSignal): Promise<void>;
  /** Reason in a sentence why changes can't be followed at the moment; undefined while they are. */
  readonly problem: string | undefined;
}

/** A list that could not be had; `message` and `retryAfterMs` as in ReadResult. */
export class SinkError extends Error {
  override name = "SinkError";
  readonly retryAfterMs: number | undefined;
  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}
