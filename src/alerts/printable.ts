// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns how a feed's own messages (what a peer or a parser said) are made fit for one line of a log.
// Invariant: what leaves here holds no control character and has a bound.

// Controls (C0, DEL, C1), line separators, and the marks that change the direction of text.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g;

/** Returns `text` with every run of unprintable characters as one space, at most `maxLength` UTF-16 units long. */
export function printable(text: string, maxLength: number): string {
  // Looking at more than could be kept would make a hostile megabyte cost a megabyte's work.
  const line = text
    .slice(0, maxLength * 2)
    .replace(UNPRINTABLE, " ")
    .trim();
  return (line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`).toWellFormed();
}
