// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds out from the operator's Lease, which its leader renews every few seconds, if the operator is running.
// Invariant: only a Lease that is held, in time and of the operator's own name and namespace is a sign of life.

import { MISSING_SINCE_ANNOTATION } from "../../../src/api/names.ts";
import { toObject, toText } from "../../../src/lib/json.ts";
import { formatAge, parseEpochMs } from "../../../src/lib/time.ts";
import { plain } from "../text/escape.ts";
import { formatMs } from "./when.ts";

/** State of the operator; `cutOff` is one that runs, and that alerts of some or all nodes do not reach. */
export type Heartbeat =
  | { state: "alive"; holder: string }
  | { state: "cutOff"; sinceMs: number }
  | { state: "silent"; lease: string; forMs: number }
  | { state: "unknown"; why: string };

/** Fields of a Lease; they may have any type. */
export interface LeaseObject {
  metadata?: { namespace?: unknown; name?: unknown; annotations?: unknown };
  spec?: { renewTime?: unknown; leaseDurationSeconds?: unknown; holderIdentity?: unknown };
}

/** By this machine's clock: it may differ from the operator's, and a takeover takes a while. */
const TOLERANCE_MS = 60_000;
/** By the API server's clock: that of the operator's node is that of another node of the same cluster. */
const SERVER_TOLERANCE_MS = 20_000;
/** The operator's is 15 s. A Lease that lasts for days proves nothing. */
const MAX_DURATION_S = 600;

/** Time of this machine, and of the API server where its answer had one; milliseconds since the epoch. */
export interface HeartbeatClock {
  nowMs: number;
  serverMs?: number | undefined;
}

/** Reads the Lease `namespace/name`; silent is one that was due more than 20 s ago (a minute by this machine's clock). */
export function readHeartbeat(
  lease: LeaseObject | undefined,
  expected: { namespace: string; name: string },
  clock: HeartbeatClock,
): Heartbeat {
  const nowMs = clock.serverMs ?? clock.nowMs;
  const toleranceMs = clock.serverMs === undefined ? TOLERANCE_MS : SERVER_TOLERANCE_MS;
  const path = `${expected.namespace}/${expected.name}`;
  const { metadata, spec } = lease ?? {};
  if (metadata?.namespace !== expected.namespace || metadata.name !== expected.name) {
    return { state: "unknown", why: `the answer is not the Lease ${path}` };
  }
  const { renewTime, leaseDurationSeconds, holderIdentity } = spec ?? {};
  const renewedMs = parseEpochMs(toText(renewTime));
  if (renewedMs === undefined) return { state: "unknown", why: `the Lease ${path} has no time of renewal` };
  if (
    typeof leaseDurationSeconds !== "number" ||
    !(leaseDurationSeconds > 0 && leaseDurationSeconds <= MAX_DURATION_S)
  ) {
    return { state: "unknown", why: `the Lease ${path} does not last from 1 to ${MAX_DURATION_S} seconds` };
  }
  if (renewedMs - nowMs > toleranceMs) {
    const owner = clock.serverMs === undefined ? "of this machine" : "of the operator's node and of the API server";
    return {
      state: "unknown",
      why: `the Lease ${path} was renewed in the future (in ${formatAge(renewedMs - nowMs)}): check the clock ${owner}`,
    };
  }
  const isHeld = typeof holderIdentity === "string" && holderIdentity !== "";
  if (!isHeld || nowMs - renewedMs > leaseDurationSeconds * 1000 + toleranceMs) {
    return { state: "silent", lease: path, forMs: Math.max(0, nowMs - renewedMs) };
  }
  const since = toObject(metadata.annotations)[MISSING_SINCE_ANNOTATION];
  if (since === undefined) return { state: "alive", holder: holderIdentity };
  const sinceMs = parseEpochMs(toText(since));
  return sinceMs === undefined
    ? { state: "unknown", why: `the Lease ${path} does not say since when alerts are missing` }
    : { state: "cutOff", sinceMs };
}

/** Returns a sentence on an operator that may not be counting, without its stop; undefined for one that is. */
export function describeHeartbeat(beat: Heartbeat): string | undefined {
  if (beat.state === "alive") return undefined;
  if (beat.state === "unknown") return `it is unknown if the operator is running: ${plain(beat.why)}`;
  if (beat.state === "cutOff") {
    return `alerts may be missing since ${formatMs(beat.sinceMs)}: the operator is running, but does not reach all of KubeArmor, or cannot write its reports`;
  }
  return (
    `the operator has not renewed its Lease ${plain(beat.lease)} for ${formatAge(beat.forMs)}: it is not running, ` +
    "and the reports are as old as that"
  );
}
