// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of one second as readers publish them and owners add them.
// Invariant: a delta is whole in itself: adding all deltas of a report gives the counts that one process would have,
// in any grouping.

import { Pods } from "../../aggregate/counts/pods.ts";
import { addPod, type Tally } from "../../aggregate/counts/tally.ts";
import { emptyTotals, mergeTotals, type Totals } from "../../aggregate/counts/totals.ts";
import type { Counted } from "../../aggregate/entries/counted.ts";
import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import { storedEvidence } from "../../ingest/evidence/evidence.ts";
import { parseRule } from "../../ingest/violation/rule.ts";
import {
  type PolicyFacts,
  parseIdentityKey,
  settledKey,
  type ThrottleNotice,
} from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";

/** Alerts may be counted this much later than they were raised. Microseconds. */
export const SKEW_US = 10_000_000;

/** Counts of one pod within a violation. */
export interface PodDelta {
  key: string;
  name: string;
  node: string;
  occurrences: number;
  lastUs: EpochUs;
}

export interface ViolationDelta {
  /** As identityKey makes it. */
  key: string;
  occurrences: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
  /** `text` of the rule that the newest of them matched. */
  rule: string;
  evidence?: Evidence | undefined;
  pods: PodDelta[];
}

export interface ReportDelta {
  /** Absent for the cluster report. */
  namespace?: string | undefined;
  policyName: string;
  policy: PolicyFacts;
  totals: Totals;
  violations: ViolationDelta[];
}

/** A time in which a reader may have missed alerts, for every report of a partition. */
export interface GapNotice {
  type: "gap";
  kind: "NodeDown" | "NotRunning" | "Stalled" | "TransportLost";
  /** Null: from the last alert of each report. */
  fromUs: EpochUs | null;
  /** Null: until the state of its shard changes. */
  toUs: EpochUs | null;
  /** Nodes concerned; 0 where all may be. */
  nodes: number;
  /** Occurrences that are missing at most; 0 where the number is unknown. */
  count: number;
}

/** KubeArmor throttled a container. */
export interface ThrottleMessage {
  type: "throttle";
  notice: ThrottleNotice;
}

/** Alerts that could not be read. */
export interface RejectedNotice {
  type: "rejected";
  /** Null: any report. */
  scope: { namespace?: string | undefined } | null;
  count: number;
  atUs: EpochUs;
}

/** Applies to more than one report. */
export type Notice = GapNotice | ThrottleMessage | RejectedNotice;

/** One shard of nodes, as its holder sees it. */
export interface ShardState {
  index: number;
  /** Nodes that should be read, and are. */
  desired: number;
  connected: number;
  /** Time since which nodes of the shard may not be read; null while all are. */
  missingSinceUs: EpochUs | null;
}

export interface DeltaContents {
  reports: ReportDelta[];
  notices: Notice[];
}

/** One message of a reader to the owner of a partition. */
export interface Delta extends DeltaContents {
  /** The stream for which it was built: a retry must never reach a different one. */
  stream: string;
  /** The reader's process, unlike any other. */
  source: string;
  /** From 1, without a gap per source and partition. */
  seq: number;
  /** Occurrences in all messages of the source to this partition, this one included. */
  cumulative: number;
  /** Everything counted before this time is in this message and those before it. */
  untilUs: EpochUs;
  /** Shards that the source holds. */
  shards: ShardState[];
}

/** Takes everything that a ledger has counted, which is dropped; undefined where that is nothing. */
export function* drainReport(ledger: Ledger): Steps<ReportDelta | undefined> {
  const { namespace, policyName } = ledger;
  const violations: ViolationDelta[] = [];
  let totals = emptyTotals();
  yield* ledger.transfer.drainInSteps((more, entries) => {
    totals = mergeTotals(totals, more);
    for (const { key, tally } of entries) violations.push(toViolationDelta(settledKey(key), tally));
  });
  if (totals.occurrences === 0 && violations.length === 0) return undefined;
  return { namespace, policyName, policy: ledger.policy.facts(), totals, violations };
}

function toViolationDelta(key: string, tally: Tally): ViolationDelta {
  const { occurrences, firstUs, lastUs, rule, latest } = tally;
  const pods = [...tally.pods].map(([podKey, { name, node, occurrences, lastUs }]) => ({
    key: podKey,
    name,
    node,
    occurrences,
    lastUs,
  }));
  return { key, occurrences, firstUs, lastUs, rule: rule.text, evidence: latest?.read(), pods };
}

/** The violations of a delta as a ledger absorbs them. */
export function toCounted({ violations }: ReportDelta): Counted[] {
  return violations.map(({ key, occurrences, firstUs, lastUs, rule, evidence, pods }) => {
    const latest = evidence && storedEvidence(evidence);
    const times = { firstUs, lastUs };
    const tally: Tally = { occurrences, ...times, pods: new Pods(), latest, rule: parseRule(rule), journaledSecond: 0 };
    for (const pod of pods) addPod(tally, pod.key, pod.name, pod.node, pod.occurrences, pod.lastUs);
    return { key, identity: parseIdentityKey(key), tally };
  });
}

export function countOccurrences(reports: readonly ReportDelta[]): number {
  return reports.reduce((sum, { totals }) => sum + totals.occurrences, 0);
}
