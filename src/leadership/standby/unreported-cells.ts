// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts of one report that a standby holds, by violation and pod.

import type { KeptEvidence } from "../../ingest/evidence/evidence.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import type { ViolationFacts } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { ReportedUntil } from "../../report/reported-until.ts";
import type { UncertainAlerts } from "./uncertain-alerts.ts";

/** The alerts of one violation in one pod that no report shows. */
export interface Cell {
  readonly key: string;
  readonly report: Tracked;
  readonly violation: ViolationFacts;
  /** By how much a report's newest time must be older than an alert that is not in it. */
  readonly marginUs: EpochUs;
  /** Evidence of the newest one. */
  latest: KeptEvidence;
  /** In the order of arrival; not empty. */
  times: EpochUs[];
  /** Those of them that are uncertain once they are left; an upper bound. */
  uncertain: number;
}

export interface Tracked {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly cells: Map<string, Cell>;
  uid: string | undefined;
  /** Occurrences in the last state of the stored report. */
  reported: number;
  /**
   * Alerts left to the leader, less those that it has reported since. Above 0: alerts that are in no report (yet);
   * below 0: reported alerts that are still on their way here.
   */
  balance: number;
  /** Alerts forgotten here that no report has made up for. */
  forgotten: number;
  /** States of the report that came while the balance was below 0. */
  statesBehind: number;
  /** Kept while alerts that it shows are on their way here. */
  shown: ReportedUntil | undefined;
  readonly uncertain: UncertainAlerts;
  /** The list of its last state was cut: an alert may be left for a time of any violation. */
  isCut: boolean;
}

/** Removes the alerts up to a time, which depends on the violation and its pod; returns how many, and the empty cells. */
export function leave(
  tracked: Tracked,
  getUntil: (violation: ViolationFacts) => EpochUs,
): { alerts: number; cells: Cell[] } {
  const left = { alerts: 0, cells: [] as Cell[] };
  for (const cell of tracked.cells.values()) {
    const shownUs = getUntil(cell.violation);
    if (shownUs === 0) continue;
    const before = cell.times.length;
    cell.times = cell.times.filter((us) => us > shownUs + cell.marginUs);
    const alerts = before - cell.times.length;
    const uncertain = Math.min(cell.uncertain, alerts);
    cell.uncertain -= uncertain;
    tracked.uncertain.leave(uncertain);
    left.alerts += alerts;
    if (cell.times.length > 0) continue;
    tracked.cells.delete(cell.key);
    left.cells.push(cell);
  }
  return left;
}

export function* listAlerts(cells: readonly Cell[]): Iterable<Occurrence> {
  for (const { violation, times, latest } of cells) {
    // Of all of them the newest is the evidence; the older ones are counted only.
    const source = { keep: () => latest };
    for (const timeUs of times) yield { violation, timeUs, source };
  }
}

export function toCellKey({ key, podKey }: ViolationFacts, isDated: boolean): string {
  return `${key}\u001f${podKey}\u001f${isDated}`;
}
