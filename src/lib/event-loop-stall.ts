// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Detects a stall of this process after which KubeArmor may have dropped alerts.
// Invariant: uses the duration alone; setting the wall clock is no stall.

/** Milliseconds between two beats of the event loop. */
export const BEAT_MS = 500;

/**
 * Accepted lateness of a beat, in milliseconds. KubeArmor keeps 1,000 alerts for a reader, and how soon they overflow
 * is unknown: so the bound is above any pause for garbage collection or a busy machine, and well below the 15 s of a
 * Lease, after which another replica takes over anyway.
 */
export const MAX_LATE_MS = 5000;

/** True if a beat `elapsedMs` after the one before it shows a stall. */
export function isEventLoopStall(elapsedMs: number): boolean {
  return elapsedMs - BEAT_MS >= MAX_LATE_MS;
}
