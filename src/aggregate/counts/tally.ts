// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts as algebra: a tally holds the counts of one violation, and merging two tallies loses nothing.
// Invariant: merge is associative and commutative, so that neither the order of alerts nor of failures matters.

import type { TakenCounts } from "../../ingest/cells/cell-owner.ts";
import type { KeptEvidence } from "../../ingest/evidence/evidence.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import { NO_RULE, type RuleFacts } from "../../ingest/violation/rule.ts";
import type { ViolationFacts } from "../../ingest/violation/violation.ts";
import { TextPool } from "../../lib/collections/text-pool.ts";
import type { EpochUs } from "../../lib/time.ts";
import { Pods } from "./pods.ts";

export interface Tally {
  occurrences: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
  /** By podKey; at most MAX_PODS, the least recent leave first. Empty for host alerts. */
  pods: Pods;
  latest: KeptEvidence | undefined;
  /** The rule that the newest alert matched. */
  rule: RuleFacts;
  /** Time of the evidence in the journal's last batch, in whole seconds; 0 for none. */
  journaledSecond: number;
}

/** Pods remembered per violation; a report shows far fewer. A pod that left keeps its share of every total. */
export const MAX_PODS = 1000;

/** Names of pods and nodes, which many violations share. */
const NAMES = new TextPool(8192, (name) => name);

/** Nothing yet: the neutral element of merge. */
export function emptyTally(): Tally {
  return {
    occurrences: 0,
    firstUs: Number.POSITIVE_INFINITY,
    lastUs: 0,
    pods: new Pods(),
    latest: undefined,
    rule: NO_RULE,
    journaledSecond: 0,
  };
}

export function addAlert(tally: Tally, { violation, timeUs, source }: Occurrence): void {
  tally.occurrences++;
  tally.rule = selectNewerRule(tally, violation.rule, timeUs);
  addTimes(tally, timeUs, timeUs);
  const { latest } = tally;
  if (latest === undefined || timeUs > latest.timeUs) {
    tally.latest = source.keep(timeUs);
    latest?.leave();
  } else if (timeUs === latest.timeUs) tally.latest = selectNewerEvidence(latest, source.keep(timeUs));
  if (violation.pod !== "") addPod(tally, violation.podKey, violation.pod, violation.node, 1, timeUs);
}

/** Counts alerts of one pod that a cell has counted. */
export function addCounts(
  tally: Tally,
  { pod, node, podKey, rule }: Pick<ViolationFacts, "pod" | "node" | "podKey" | "rule">,
  { occurrences, firstUs, lastUs, evidence, journaledSecond }: TakenCounts,
): void {
  tally.occurrences += occurrences;
  tally.journaledSecond = Math.max(tally.journaledSecond, journaledSecond);
  tally.rule = selectNewerRule(tally, rule, lastUs);
  addTimes(tally, firstUs, lastUs);
  tally.latest = selectNewerEvidence(tally.latest, evidence);
  if (pod !== "") addPod(tally, podKey, pod, node, occurrences, lastUs);
}

/** Adds all of `delta` to `target`; `delta` is left as it is. */
export function mergeInto(target: Tally, delta: Tally): Tally {
  target.occurrences += delta.occurrences;
  target.rule = selectNewerRule(target, delta.rule, delta.lastUs);
  addTimes(target, delta.firstUs, delta.lastUs);
  delta.latest?.share();
  target.latest = selectNewerEvidence(target.latest, delta.latest);
  for (const [key, pod] of delta.pods) addPod(target, key, pod.name, pod.node, pod.occurrences, pod.lastUs);
  return target;
}

/** Adds one pod's share to `target` without touching the violation's own counts. */
export function addPod(
  target: Tally,
  key: string,
  name: string,
  node: string,
  occurrences: number,
  lastUs: EpochUs,
): void {
  const known = target.pods.get(key);
  if (!known) {
    target.pods.set(NAMES.get(key), { name: NAMES.get(name), node: NAMES.get(node), occurrences, lastUs });
    if (target.pods.size > MAX_PODS) target.pods.deleteLeastRecent();
    return;
  }
  known.occurrences += occurrences;
  if (lastUs > known.lastUs || (lastUs === known.lastUs && node > known.node)) known.node = node;
  known.lastUs = Math.max(known.lastUs, lastUs);
}

function addTimes(target: { firstUs: EpochUs; lastUs: EpochUs }, firstUs: EpochUs, lastUs: EpochUs): void {
  if (firstUs < target.firstUs) target.firstUs = firstUs;
  if (lastUs > target.lastUs) target.lastUs = lastUs;
}

/** The rule of the newer alert; of two at the same microsecond the one that sorts last. */
export function selectNewerRule(
  { rule, lastUs }: Pick<Tally, "rule" | "lastUs">,
  other: RuleFacts,
  otherUs: EpochUs,
): RuleFacts {
  if (rule === other || otherUs < lastUs) return rule;
  return otherUs > lastUs || other.text > rule.text ? other : rule;
}

/** The newer of two; of two at the same microsecond the one that sorts last, so that arrival order has no say. */
function selectNewerEvidence(a: KeptEvidence | undefined, b: KeptEvidence | undefined): KeptEvidence | undefined {
  if (!a || !b || a === b) return a ?? b;
  const isA = a.timeUs === b.timeUs ? isSortedLast(a, b) : a.timeUs > b.timeUs;
  (isA ? b : a).leave();
  return isA ? a : b;
}

/** Reading evidence costs much: alerts received as bytes are compared as bytes, and sort behind all others. */
function isSortedLast(a: KeptEvidence, b: KeptEvidence): boolean {
  if (a.text !== undefined && b.text !== undefined) return a.text >= b.text;
  if (a.text !== undefined || b.text !== undefined) return a.text !== undefined;
  return JSON.stringify(a.read()) >= JSON.stringify(b.read());
}
