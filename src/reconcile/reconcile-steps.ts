// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// States of a report's attempt, and the next step for every answer of the sink.
//
//              take, render                written
//     idle ───────────────────▶ unsent ──────────────▶ idle
//      ▲                         │  ▲
//      │             retry,      │  │ read: not stored
//      │             unknown     ▼  │
//      └────────────────────── uncertain
//        read: it was stored
//
// An attempt that may have been stored (uncertain) is sent again unchanged until a read or a write settles it; only then
// are its counts committed or put back. So nothing is counted twice and nothing is skipped.

import type { WriteResult } from "../sinks/report-sink.ts";

/** Outcome of one turn of a report. */
export type ReconcileResult =
  /** The report is stored; `fresh`: with a new violation. */
  | { kind: "written"; fresh: boolean }
  /** To be tried again, after at least `afterMs` milliseconds. */
  | { kind: "requeue"; afterMs: number; fresh: boolean }
  /** The stored report is gone, and there are new counts: write a new one. */
  | { kind: "recreate" }
  /** There is no count to report. */
  | { kind: "noop" }
  /** The namespace does not exist or is being deleted. */
  | { kind: "namespace_gone" };

/** Knowledge of an attempt's outcome. */
export type AttemptState = "unsent" | "uncertain";

/** Next step after an answer. */
export type Step = "commit" | "compare" | "rebase" | "leave" | "shrink" | "wait" | "refuse";

/** Next step by state and answer. An error of the server may come after it has stored the object, too. */
export const STEPS: Record<AttemptState, Record<WriteResult["kind"], Step>> = {
  unsent: {
    written: "commit",
    conflict: "compare",
    gone: "rebase",
    namespace_gone: "leave",
    too_large: "shrink",
    retry: "wait",
    unknown: "wait",
    refused: "refuse",
  },
  uncertain: {
    written: "commit",
    conflict: "compare",
    gone: "rebase",
    namespace_gone: "leave",
    // The content may change only once it is known that the earlier try was not stored.
    too_large: "compare",
    retry: "wait",
    unknown: "wait",
    refused: "refuse",
  },
};

/** Returns the message of a result, or else its kind. */
export function readMessage(result: WriteResult): string {
  return "message" in result ? result.message : result.kind;
}
