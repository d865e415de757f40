// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rows of one violation for a journal. Evidence is in the first of them and then now and then.

import type { Evidence } from "../../api/v1alpha1.ts";
import { toSecond } from "../../ingest/cells/cell-counts.ts";
import type { CellFacts } from "../../ingest/cells/cell-owner.ts";
import type { HeldCounts } from "../../ingest/cells/cell-records.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { Tally } from "../counts/tally.ts";
import type { Entry } from "./entry.ts";

/** One pod's part of a violation. */
export interface PodRow {
  key: string;
  name: string;
  node: string;
  occurrences: number;
  lastUs: EpochUs;
}

/** One violation's part of a set of counts. */
export interface ViolationRow {
  /** As identityKey makes it. */
  key: string;
  occurrences: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
  /** `text` of the rule that the newest of them matched. */
  rule: string;
  /** Undefined: the journal's is new enough. */
  evidence: Evidence | undefined;
  /** Those that have changed; the others stay as they are. */
  pods: PodRow[];
}

/** Counts of one entry that are all in one cell. */
export interface CountsInCell {
  counts: HeldCounts;
  facts: CellFacts;
  /** Reads the newest alert, for the journal. */
  readEvidence: () => Evidence;
}

/**
 * The evidence is journaled again when it is newer by this many seconds. Reading a whole alert costs about ten
 * times as much as taking it, and mostly the next alert comes first.
 */
const EVIDENCE_EVERY_S = 10;
/** Seconds by which evidence must be newer than the stored report's to be journaled. */
const STORED_EVIDENCE_S = 60;

/** Makes the row of a tally; of pods only those that have changed since the last row. */
export function toRow(entry: Entry, tally: Tally): ViolationRow {
  const pods: PodRow[] = [];
  for (const [podKey, pod] of tally.pods) {
    if (pod.journaled === pod.occurrences) continue;
    pod.journaled = pod.occurrences;
    pods.push({ key: podKey, name: pod.name, node: pod.node, occurrences: pod.occurrences, lastUs: pod.lastUs });
  }
  const { occurrences, firstUs, lastUs, rule } = tally;
  const evidence = takeNewEvidence(entry, tally);
  return { key: entry.key, occurrences, firstUs, lastUs, rule: rule.text, evidence, pods };
}

export function toCellRow(entry: Entry, found: CountsInCell): ViolationRow {
  const { occurrences, firstUs, lastUs, journaledSecond } = found.counts;
  const { pod, podKey, node, rule } = found.facts;
  const isWanted = isEvidenceWanted(entry, lastUs, journaledSecond);
  const evidence = isWanted ? found.readEvidence() : undefined;
  const pods = pod === "" ? [] : [{ key: podKey, name: pod, node, occurrences, lastUs }];
  return { key: entry.key, occurrences, firstUs, lastUs, rule: rule.text, evidence, pods };
}

function takeNewEvidence(entry: Entry, tally: Tally): Evidence | undefined {
  const { latest, journaledSecond } = tally;
  if (latest === undefined || !isEvidenceWanted(entry, latest.timeUs, journaledSecond)) return undefined;
  tally.journaledSecond = toSecond(latest.timeUs);
  return latest.read();
}

function isEvidenceWanted({ stored }: Entry, us: EpochUs, journaledSecond: number): boolean {
  const second = toSecond(us);
  if (journaledSecond > 0 && second - journaledSecond < EVIDENCE_EVERY_S) return false;
  return stored?.latest === undefined || second - toSecond(stored.latest.timeUs) >= STORED_EVIDENCE_S;
}

/** Has the next row of a tally hold all. */
export function forgetWritten(tally: Tally | undefined): void {
  if (tally) tally.journaledSecond = 0;
  for (const pod of tally?.pods.values() ?? []) pod.journaled = undefined;
}

export function getCost(rows: readonly ViolationRow[]): number {
  return rows.reduce((sum, { pods }) => sum + 1 + pods.length, 0);
}
