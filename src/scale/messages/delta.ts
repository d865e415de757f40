// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of one second as readers publish them and owners add them.
// Invariant: a delta is whole in itself: adding all deltas of a report gives the counts that one process would have,
// in any grouping.

import * as z from "zod";
import { Pods } from "../../aggregate/counts/pods.ts";
import { addPod, type Tally } from "../../aggregate/counts/tally.ts";
import { emptyTotals, mergeTotals, type Totals } from "../../aggregate/counts/totals.ts";
import type { Counted } from "../../aggregate/entries/counted.ts";
import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import { storedEvidence } from "../../ingest/evidence/evidence.ts";
import { parseRule } from "../../ingest/violation/rule.ts";
import {
  isIdentityKey,
  type PolicyFacts,
  parseIdentityKey,
  settledKey,
  type ThrottleNotice,
} from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";

/** Alerts may be counted this much later than they were raised. Microseconds. */
export const SKEW_US = 10_000_000;

/** Days in the range of dates. */
const MAX_BUCKET = 100_000_000;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const us = count;
const name = z.string().max(512);
/** Absent for the cluster report. */
const namespace = z.string().max(253).optional();
/** Hours or days since the epoch, of a time that a date can hold. */
const bucket = z.tuple([z.number().int().min(0).max(MAX_BUCKET), count, count, count]);

const totals = z.strictObject({
  occurrences: count,
  prevented: count,
  allowed: count,
  unknown: count,
  // JSON has no infinity, the first time of no alert.
  firstUs: us.nullable().transform((value) => value ?? Number.POSITIVE_INFINITY),
  lastUs: us,
  history: z.strictObject({ hours: z.array(bucket), days: z.array(bucket), isLowerBound: z.boolean() }),
  gaps: count,
  throttleNotices: count,
  rejected: count,
  withoutDetails: count,
  expired: z.strictObject({ violations: count, occurrences: count }),
  coverageGaps: z.array(
    z.strictObject({
      kind: z.literal("MemoryLimit"),
      fromUs: us,
      toUs: us.optional(),
      container: name,
      pod: name,
      node: name,
      count,
      nodes: count,
    }),
  ),
}) as z.ZodType<Totals>;

const evidence: z.ZodType<Evidence> = z.looseObject({ time: z.string() });

/** Counts of one pod within a violation. */
const pod = z.strictObject({ key: z.string().max(1200), name, node: name, occurrences: count, lastUs: us });

const violation = z.strictObject({
  /** As identityKey makes it. */
  key: z.string().refine(isIdentityKey),
  occurrences: count.min(1),
  firstUs: us,
  lastUs: us,
  /** `text` of the rule that the newest of them matched. */
  rule: z.string().refine(isRule),
  evidence: evidence.optional(),
  pods: z.array(pod),
});

const policy: z.ZodType<PolicyFacts> = z.strictObject({
  kind: z.enum([
    "KubeArmorPolicy",
    "KubeArmorClusterPolicy",
    "KubeArmorHostPolicy",
    "KubeArmorNetworkPolicy",
    "DefaultPosture",
    "Unknown",
  ]),
  severity: z.number().int(),
  tags: z.array(z.string()),
  message: z.string(),
});

const report = z.strictObject({
  namespace,
  policyName: z.string().min(1).max(2048),
  policy,
  totals,
  violations: z.array(violation),
});

/** A time in which a reader may have missed alerts, for every report of a partition. */
export const gapNotice = z.strictObject({
  type: z.literal("gap"),
  kind: z.enum(["NodeDown", "NotRunning", "Stalled", "TransportLost"]),
  /** Null: from the last alert of each report. */
  fromUs: us.nullable(),
  /** Null: until the state of its shard changes. */
  toUs: us.nullable(),
  /** Nodes concerned; 0 where all may be. */
  nodes: count,
  /** Occurrences that are missing at most; 0 where the number is unknown. */
  count,
});

const throttleNotice = z.strictObject({
  namespace,
  pod: name,
  node: name,
  container: name,
  timeUs: us,
  maxAlertsPerSec: z.number(),
  intervalSeconds: z.number(),
}) as z.ZodType<ThrottleNotice>;

/** Alerts that could not be read. */
const rejectedNotice = z.strictObject({
  type: z.literal("rejected"),
  /** Null: any report. */
  scope: z.strictObject({ namespace }).nullable(),
  count,
  atUs: us,
});

/** Applies to more than one report. */
const notice = z.discriminatedUnion("type", [
  gapNotice,
  z.strictObject({ type: z.literal("throttle"), notice: throttleNotice }),
  rejectedNotice,
]);

/** One shard of nodes, as its holder sees it. */
export const shard = z.strictObject({
  index: count,
  /** Nodes that should be read, and are. */
  desired: count,
  connected: count,
  /** Time since which nodes of the shard may not be read; null while all are. */
  missingSinceUs: us.nullable(),
});

/** One message of a reader to the owner of a partition. */
export const delta = z.strictObject({
  /** The stream for which it was built: a retry must never reach a different one. */
  stream: z.string().max(64),
  /** The reader's process, unlike any other. */
  source: z.string().min(1).max(300),
  /** From 1, without a gap per source and partition. */
  seq: count.min(1),
  /** Occurrences in all messages of the source to this partition, this one included. */
  cumulative: count,
  /** Everything counted before this time is in this message and those before it. */
  untilUs: us,
  /** Shards that the source holds. */
  shards: z.array(shard),
  reports: z.array(report),
  notices: z.array(notice),
});

export type PodDelta = z.infer<typeof pod>;
export type ViolationDelta = z.infer<typeof violation>;
export type ReportDelta = z.infer<typeof report>;
export type GapNotice = z.infer<typeof gapNotice>;
export type RejectedNotice = z.infer<typeof rejectedNotice>;
export type Notice = z.infer<typeof notice>;
export type ShardState = z.infer<typeof shard>;
export type Delta = z.infer<typeof delta>;
export type DeltaContents = Pick<Delta, "reports" | "notices">;

function isRule(text: string): boolean {
  try {
    const [severity, message, tags] = JSON.parse(text) as unknown[];
    return typeof severity === "number" && typeof message === "string" && Array.isArray(tags);
  } catch {
    return false;
  }
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
