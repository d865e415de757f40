// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes the messages of peers and parsers fit for one line of a log.
// Invariant: the result has no control character and a bounded length.

// Controls (C0, DEL, C1), line separators, and the marks that change the direction of text.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g;

/** Returns `text` with every run of unprintable characters as one space, at most `maxLength` UTF-16 units long. */
export function toPrintable(text: string, maxLength: number): string {
  // Bounds the work for a hostile megabyte.
  const line = text
    .slice(0, maxLength * 2)
    .replace(UNPRINTABLE, " ")
    .trim();
  return (line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`).toWellFormed();
}
