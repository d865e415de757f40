// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds out from the operator's Lease, which its leader renews every few seconds, if the operator is running.
// Invariant: only a Lease that is held, in time and of the operator's own name and namespace is a sign of life.

import { age } from "../../../src/lib/age.ts";
import { plain } from "../render/escape.ts";

/** State of the operator. */
export type Heartbeat =
  | { state: "alive"; holder: string }
  | { state: "silent"; lease: string; forMs: number }
  | { state: "unknown"; why: string };

/** Fields of a Lease; they may have any type. */
export interface LeaseObject {
  metadata?: { namespace?: unknown; name?: unknown };
  spec?: { renewTime?: unknown; leaseDurationSeconds?: unknown; holderIdentity?: unknown };
}

/** Two machines' clocks may differ, and a takeover takes a while. */
const TOLERANCE_MS = 60_000;
/** The operator's is 15 s. A Lease that lasts for days proves nothing. */
const MAX_DURATION_S = 600;

/** Reads the Lease `namespace/name`; silent is one that was due more than a minute ago, by this machine's clock. */
export function readHeartbeat(
  lease: LeaseObject | undefined,
  expected: { namespace: string; name: string },
  nowMs: number,
): Heartbeat {
  const path = `${expected.namespace}/${expected.name}`;
  const { metadata, spec } = lease ?? {};
  if (metadata?.namespace !== expected.namespace || metadata.name !== expected.name) {
    return { state: "unknown", why: `the answer is not the Lease ${path}` };
  }
  const { renewTime, leaseDurationSeconds, holderIdentity } = spec ?? {};
  const renewedMs = typeof renewTime === "string" ? Date.parse(renewTime) : Number.NaN;
  if (Number.isNaN(renewedMs)) return { state: "unknown", why: `the Lease ${path} has no time of renewal` };
  if (
    typeof leaseDurationSeconds !== "number" ||
    !(leaseDurationSeconds > 0 && leaseDurationSeconds <= MAX_DURATION_S)
  ) {
    return { state: "unknown", why: `the Lease ${path} does not last from 1 to ${MAX_DURATION_S} seconds` };
  }
  if (renewedMs - nowMs > TOLERANCE_MS) {
    return {
      state: "unknown",
      why: `the Lease ${path} was renewed in the future (in ${age(renewedMs - nowMs)}): check the clock of this machine`,
    };
  }
  const isHeld = typeof holderIdentity === "string" && holderIdentity !== "";
  if (!isHeld || nowMs - renewedMs > leaseDurationSeconds * 1000 + TOLERANCE_MS) {
    return { state: "silent", lease: path, forMs: Math.max(0, nowMs - renewedMs) };
  }
  return { state: "alive", holder: holderIdentity };
}

/** Returns a sentence on an operator that may not be running, without its stop; undefined for one that is. */
export function describeHeartbeat(beat: Heartbeat): string | undefined {
  if (beat.state === "alive") return undefined;
  if (beat.state === "unknown") return `it is unknown if the operator is running: ${plain(beat.why)}`;
  return (
    `the operator has not renewed its Lease ${plain(beat.lease)} for ${age(beat.forMs)}: it is not running, ` +
    "and the reports are as old as that"
  );
}
