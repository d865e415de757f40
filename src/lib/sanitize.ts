// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes text that an attacker may have chosen safe to store, print and log.
// Invariant: what leaves here is well-formed, has no control or direction-changing character, and is bounded.

/** The bound on every string that is taken from an alert. */
export const MAX_TEXT_BYTES = 512;

/** Stands for the cut text; three bytes. */
export const ELLIPSIS = "…";

const PLAIN = /^[\x20-\x7e]*$/;
/** Line breaks and tabs, and every space that is not the common one. */
const WHITE_SPACE = /[\t\n\v\f\r\x85\u2028\u2029]+|(?! )\p{Zs}/gu;
/**
 * Everything that Unicode calls "other" (controls, direction and zero-width marks, tags, surrogates, private and
 * unassigned characters) or ignorable by default (variation selectors, joiners, fillers), marks that enclose, the object
 * replacement character, and what prints as nothing: a Braille pattern, a note head, two hieroglyphs, a Khitan filler.
 */
const UNSAFE = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Me}\ufffc\u2800\u{1d159}\u{13441}\u{13442}\u{16fe4}]/gu;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const scratch = new Uint8Array(4096);

/**
 * Returns `text` without white space around it, with white space as spaces, unsafe characters as U+FFFD, and
 * at most `maxBytes` bytes of UTF-8 (default 512, at most 4,096), cut between characters and then ending in "…".
 */
export function sanitize(text: string, maxBytes = MAX_TEXT_BYTES): string {
  if (text.length <= maxBytes && PLAIN.test(text)) return text.trim();
  const trimmed = text.trim();
  // A character takes at least one byte, so what lies beyond can't be kept: never look at megabytes.
  const head = trimmed.slice(0, maxBytes * 2);
  const safe = head.toWellFormed().replace(WHITE_SPACE, " ").replace(UNSAFE, "\ufffd").trim();
  return cut(safe, maxBytes, head.length < trimmed.length);
}

/** Copies, always: a slice would keep the whole text alive that it was cut from, and that may be megabytes. */
function cut(text: string, maxBytes: number, alreadyCut: boolean): string {
  const whole = encoder.encodeInto(text, scratch.subarray(0, maxBytes));
  if (whole.read === text.length && !alreadyCut) return decoder.decode(scratch.subarray(0, whole.written));
  const { written } = encoder.encodeInto(text, scratch.subarray(0, maxBytes - 3));
  return decoder.decode(scratch.subarray(0, written)) + ELLIPSIS;
}
