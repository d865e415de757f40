// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Whether anybody counts at all: from the operator's Lease, which its leader renews every few seconds.
// Invariant: a sign of life that can't be looked for is unknown, and never taken for one that is missing.

import { age } from "../../../src/lib/age.ts";
import { plain } from "../render/escape.ts";

/** What the operator's Leases tell. */
export type Heartbeat =
  | { state: "alive" }
  | { state: "silent"; lease: string; forMs: number }
  | { state: "unknown"; why: string };

/** What is read of a Lease; it may be of any form. */
export interface LeaseObject {
  metadata?: { namespace?: string; name?: string };
  spec?: { renewTime?: string; leaseDurationSeconds?: number };
}

/** Two machines' clocks may differ, and a leader may be in the middle of changing. */
const PATIENCE_MS = 60_000;

/** Reads the newest of the Leases; silent is one that was due more than a minute ago, by this machine's clock. */
export function heartbeatOf(leases: readonly LeaseObject[], nowMs: number): Heartbeat {
  const beats = leases.flatMap(({ metadata, spec }) => {
    const renewedMs = Date.parse(spec?.renewTime ?? "");
    const lease = `${metadata?.namespace}/${metadata?.name}`;
    const dueMs = renewedMs + (spec?.leaseDurationSeconds ?? 0) * 1000;
    return Number.isNaN(renewedMs) ? [] : [{ lease, renewedMs, dueMs }];
  });
  const newest = beats.sort((a, b) => b.dueMs - a.dueMs)[0];
  if (!newest) return { state: "unknown", why: "there is no Lease of it" };
  const { lease, renewedMs, dueMs } = newest;
  return nowMs - dueMs > PATIENCE_MS
    ? { state: "silent", lease, forMs: nowMs - renewedMs }
    : { state: "alive" };
}

/** One sentence on an operator that may not be running; undefined where it is. */
export function tellHeartbeat(beat: Heartbeat): string | undefined {
  if (beat.state === "alive") return undefined;
  if (beat.state === "unknown") return `whether the operator is running is not known: ${plain(beat.why)}`;
  return (
    `the operator has not renewed its Lease ${plain(beat.lease)} for ${age(beat.forMs)}: nobody is counting, ` +
    "and the reports are as old as that"
  );
}
