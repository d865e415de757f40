// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Formats the age of something as kubectl does.
// Invariant: pure.

/** A duration as kubectl writes one: `37s`, `5m`, `3h`, `12d`, `2y`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  const days = Math.floor(seconds / 86_400);
  return days < 2 * 365 ? `${days}d` : `${Math.floor(days / 365)}y`;
}
