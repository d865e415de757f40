// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Use of small buffers with a fixed bound, for the metrics.

export interface BufferUse {
  readonly size: number;
  /** Counter: additions that found no room. */
  readonly overflows: number;
}

export const BUFFERS = [
  "absent_namespaces",
  "deletions",
  "early_gaps",
  "rejection_scopes",
  "throttled_pods",
  "write_intervals",
] as const;

export type Buffers = Readonly<Record<(typeof BUFFERS)[number], BufferUse>>;

/** Sums the use of each buffer over several processes' parts. */
export function sumBuffers(all: readonly Buffers[]): Buffers {
  const sum = (name: keyof Buffers, of: keyof BufferUse) => all.reduce((total, each) => total + each[name][of], 0);
  const entries = BUFFERS.map((name) => [name, { size: sum(name, "size"), overflows: sum(name, "overflows") }]);
  return Object.fromEntries(entries) as Buffers;
}

/** Buffers that no longer exist; their counters stay. */
export function emptyBuffers(buffers: Buffers): Buffers {
  const entries = BUFFERS.map((name) => [name, { size: 0, overflows: buffers[name].overflows }]);
  return Object.fromEntries(entries) as Buffers;
}
