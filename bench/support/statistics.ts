// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Summary of many measurements.

/** The value that `share` (0 to 1) of all are at most, by the nearest rank; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.max(0, Math.ceil(share * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (!Number.isInteger(middle)) return upper;
  return (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The median of ours ÷ theirs, pair by pair: what both of a pair met at the same time cancels out. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} and ${theirs.length} make no pairs`);
  return median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
}
