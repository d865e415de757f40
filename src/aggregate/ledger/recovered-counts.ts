// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rows of a journal, read back as a ledger's counts. Invariant: never more than was journaled; a set that was journaled
// in part gives that part.

import { storedEvidence } from "../../ingest/evidence/evidence.ts";
import { parseRule } from "../../ingest/violation/rule.ts";
import { type Identity, parseIdentityKey } from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import { Pods } from "../counts/pods.ts";
import { addPod, type Tally } from "../counts/tally.ts";
import { clearExpiry, countOutcome, emptyTotals, type Totals } from "../counts/totals.ts";
import type { ViolationRow } from "../entries/change-rows.ts";
import type { Counted, RecoveredSet } from "../entries/counted.ts";
import type { LayerRow } from "./change-log.ts";

/** Rows of violations and pods that are read in one step, about: each takes some microseconds. */
const ROWS_PER_STEP = 512;

export function* recoverSets(layers: readonly LayerRow[]): Steps<RecoveredSet[]> {
  const sets: RecoveredSet[] = [];
  for (const layer of layers) sets.push(yield* recoverSet(layer));
  return sets;
}

export function* recoverSet(layer: LayerRow): Steps<RecoveredSet> {
  const entries: Counted[] = [];
  let left = ROWS_PER_STEP;
  for (const row of layer.violations) {
    if (left <= 0) {
      yield;
      left = ROWS_PER_STEP;
    }
    entries.push({ key: row.key, identity: parseIdentityKey(row.key), tally: toTally(row) });
    left -= 1 + row.pods.length;
  }
  return { seq: layer.seq, totals: readTotals(layer.totals, entries), policy: layer.policy, entries };
}

/** The totals as journaled, but at least the sum of the violations, which may have been journaled later. */
function readTotals(journaled: Totals, entries: readonly { identity: Identity; tally: Tally }[]): Totals {
  const listed = emptyTotals();
  for (const { identity, tally } of entries) {
    countOutcome(listed, identity.outcome, tally.occurrences, tally.firstUs, tally.lastUs);
  }
  const prevented = Math.max(listed.prevented, journaled.prevented);
  const allowed = Math.max(listed.allowed, journaled.allowed);
  const unknown = Math.max(listed.unknown, journaled.unknown);
  const occurrences = prevented + allowed + unknown;
  return {
    // Entries that were about to expire from the report's list have not expired from it.
    ...clearExpiry({ ...journaled, occurrences }, occurrences - listed.occurrences),
    prevented,
    allowed,
    unknown,
    firstUs: Math.min(listed.firstUs, journaled.firstUs),
    lastUs: Math.max(listed.lastUs, journaled.lastUs),
  };
}

function toTally({ occurrences, firstUs, lastUs, rule: text, evidence, pods }: ViolationRow): Tally {
  const latest = evidence && storedEvidence(evidence);
  const rule = parseRule(text);
  const tally: Tally = { occurrences, firstUs, lastUs, pods: new Pods(), latest, rule, journaledSecond: 0 };
  for (const pod of pods) addPod(tally, pod.key, pod.name, pod.node, pod.occurrences, pod.lastUs);
  return tally;
}
