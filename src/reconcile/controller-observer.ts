// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Callbacks of a report controller for other stages.

import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { Clock } from "../lib/clock.ts";
import { runInTurns, type Steps } from "../lib/pacing/steps.ts";

/** PORT: learns how stored reports and ledgers come together. Must not throw. */
export interface ControllerObserver {
  /** A write was stored; called before its commit. Every count before `takenMs` (monotonic) is in it. */
  onWritten?(ledger: Ledger, report: Report, takenMs: number): void;
  /** After onWritten and before the commit: work that takes longer, in steps. */
  recordWritten?: ((ledger: Ledger, report: Report) => Steps) | undefined;
  /** A report that another writer wrote last became the base, with `more` occurrences than before; in steps. */
  onForeignBase?(ledger: Ledger, report: Report, more: number): Steps;
  /** A stored report became the base of its ledger, before the start. */
  onAdopted?(ledger: Ledger, report: Report): void;
  /** The pending counts of a ledger of a gone namespace are about to go to the cluster report of its policy. */
  onMoving?(ledger: Ledger): void;
  /** They are in the cluster report, which is not written before the return. */
  onMoved?(from: Ledger): void;
  /** The pending counts of a ledger are about to be taken, right after the last step. */
  onTaking?(ledger: Ledger): Steps | undefined;
}

/** Calls all observers before the pending counts are taken. */
export function* notifyTaking(observers: readonly ControllerObserver[], ledger: Ledger): Steps {
  for (const observer of observers) yield* observer.onTaking?.(ledger) ?? [];
}

/** Calls all observers after a write, with turns of the event loop between the steps of the longer work. */
export async function notifyWritten(
  observers: readonly Pick<ControllerObserver, "onWritten" | "recordWritten">[],
  [ledger, report, takenMs]: readonly [Ledger, Report, takenMs: number],
  clock: Pick<Clock, "turn">,
): Promise<void> {
  for (const observer of observers) observer.onWritten?.(ledger, report, takenMs);
  for (const observer of observers) {
    const steps = observer.recordWritten?.(ledger, report);
    if (steps) await runInTurns(steps, clock);
  }
}
