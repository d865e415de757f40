// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Whether this process stood still for so long that KubeArmor may have dropped alerts meanwhile.
// Invariant: goes by the length of time alone; a wall clock that is set is no standstill.

/** How often the event loop is expected to come by, in milliseconds. */
export const BEAT_MS = 500;

/**
 * How late it may be, in milliseconds. KubeArmor keeps 1,000 alerts for a reader, and nobody knows how soon they were
 * full: so the bound is what no pause for garbage and no busy machine comes to, and well below the 15 s of a Lease, after
 * which another replica takes over anyhow.
 */
export const MAX_LATE_MS = 5000;

/** Whether a beat that came `elapsedMs` after the one before it tells of a standstill. */
export function isEventLoopStall(elapsedMs: number): boolean {
  return elapsedMs - BEAT_MS >= MAX_LATE_MS;
}
