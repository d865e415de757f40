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
  "standby_notices",
  "standby_reports",
  "stated_gaps",
  "throttled_pods",
  "write_intervals",
] as const;

export type Buffers = Readonly<Record<(typeof BUFFERS)[number], BufferUse>>;
/** Those of a standby. */
export type StandbyBuffers = Pick<Buffers, "standby_notices" | "standby_reports">;
/** Those of a writer of reports. */
export type ReportBuffers = Omit<Buffers, keyof StandbyBuffers>;

/** Sums the use of each buffer over several parts, of which not each has all buffers. */
export function sumBuffers(all: readonly Partial<Buffers>[]): Buffers {
  const sum = (name: keyof Buffers, of: keyof BufferUse) =>
    all.reduce((total, each) => total + (each[name]?.[of] ?? 0), 0);
  const entries = BUFFERS.map((name) => [name, { size: sum(name, "size"), overflows: sum(name, "overflows") }]);
  return Object.fromEntries(entries) as Buffers;
}

/** Buffers that no longer exist; their counters stay. */
export function emptyBuffers(buffers: Partial<Buffers>): Buffers {
  const entries = BUFFERS.map((name) => [name, { size: 0, overflows: buffers[name]?.overflows ?? 0 }]);
  return Object.fromEntries(entries) as Buffers;
}
