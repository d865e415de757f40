// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A delta as bytes, and back.
// Invariant: bytes that are not exactly a delta of this version give no delta, and the reason.

import * as z from "zod";
import { isIdentityKey } from "../../ingest/violation/violation.ts";
import type { Delta } from "./delta.ts";

/** Version of the messages; other versions are not read. */
export const DELTA_VERSION = 1;

/** Days in the range of dates. */
const MAX_BUCKET = 100_000_000;

/** Outcome of decoding a message. */
export type DecodedDelta =
  | { kind: "delta"; delta: Delta }
  /** A message of another version of this program. */
  | { kind: "version"; detail: string }
  /** A message of another program. */
  | { kind: "foreign"; detail: string };

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const us = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const name = z.string().max(512);
/** Hours or days since the epoch, of a time that a date can hold. */
const bucket = z.tuple([z.number().int().min(0).max(MAX_BUCKET), count, count, count]);
const optionalNamespace = z.string().max(253).optional();

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
});

const violation = z.strictObject({
  key: z.string().refine(isIdentityKey),
  occurrences: count.min(1),
  firstUs: us,
  lastUs: us,
  rule: z.string().refine(isRule),
  evidence: z.looseObject({ time: z.string() }).optional(),
  pods: z.array(z.strictObject({ key: z.string().max(1200), name, node: name, occurrences: count, lastUs: us })),
});

const report = z.strictObject({
  namespace: optionalNamespace,
  policyName: z.string().min(1).max(2048),
  policy: z.strictObject({
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
  }),
  totals,
  violations: z.array(violation),
});

export const gapNotice = z.strictObject({
  type: z.literal("gap"),
  kind: z.enum(["NodeDown", "NotRunning", "Stalled", "TransportLost"]),
  fromUs: us.nullable(),
  toUs: us.nullable(),
  nodes: count,
  count,
});

const notice = z.discriminatedUnion("type", [
  gapNotice,
  z.strictObject({
    type: z.literal("throttle"),
    notice: z.strictObject({
      namespace: optionalNamespace,
      pod: name,
      node: name,
      container: name,
      timeUs: us,
      maxAlertsPerSec: z.number(),
      intervalSeconds: z.number(),
    }),
  }),
  z.strictObject({
    type: z.literal("rejected"),
    scope: z.strictObject({ namespace: optionalNamespace }).nullable(),
    count,
    atUs: us,
  }),
]);

export const shard = z.strictObject({ index: count, desired: count, connected: count, missingSinceUs: us.nullable() });

const delta = z.strictObject({
  version: z.literal(DELTA_VERSION),
  stream: z.string().max(64),
  source: z.string().min(1).max(300),
  seq: count.min(1),
  cumulative: count,
  untilUs: us,
  shards: z.array(shard),
  reports: z.array(report),
  notices: z.array(notice),
});

/** Returns the message of a delta. */
export function encodeDelta(value: Delta): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: DELTA_VERSION, ...value }));
}

/** Reads a message. Never throws. */
export function decodeDelta(bytes: Uint8Array): DecodedDelta {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return { kind: "foreign", detail: "is not JSON" };
  }
  const { version, source, seq } = (value ?? {}) as Record<string, unknown>;
  if (typeof version !== "number" || typeof source !== "string" || typeof seq !== "number")
    return { kind: "foreign", detail: "has no version, source and seq" };
  if (version !== DELTA_VERSION)
    return { kind: "version", detail: `has version ${version}; this program reads version ${DELTA_VERSION}` };
  const parsed = delta.safeParse(value);
  if (parsed.success) {
    const { version: _, ...rest } = parsed.data;
    return { kind: "delta", delta: rest as Delta };
  }
  const [issue] = parsed.error.issues;
  return { kind: "version", detail: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is invalid"}` };
}

function isRule(text: string): boolean {
  try {
    const [severity, message, tags] = JSON.parse(text) as unknown[];
    return typeof severity === "number" && typeof message === "string" && Array.isArray(tags);
  } catch {
    return false;
  }
}
