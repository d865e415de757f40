// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The words of a command line, with and without the quotes around them.

import { isSpace, type Marks } from "./marks.ts";

export interface Word {
  start: number;
  end: number;
  /** Without the quotes, parentheses and semicolons around it. */
  text: string;
  /** True for `|`, `||`, `&`, `&&` and `;`. */
  isSeparator: boolean;
}

const SEPARATOR = /^(?:\|\|?|&&?|;)$/;

export function splitWords(marks: Marks): Word[] {
  const { text } = marks;
  const words: Word[] = [];
  marks.spend(text.length);
  for (let at = 0; at < text.length; ) {
    if (isSpace(text, at)) {
      at++;
      continue;
    }
    const start = at;
    if (text[at] === "|") while (text[at] === "|") at++;
    else while (at < text.length && !isSpace(text, at) && text[at] !== "|") at++;
    const raw = text.slice(start, at);
    words.push({ start, end: at, text: bare(raw), isSeparator: SEPARATOR.test(raw) });
  }
  return words;
}

function bare(raw: string): string {
  return raw.replace(/^["'(`]+|["')`;]+$/g, "");
}

export function baseName(text: string): string {
  return text.slice(text.lastIndexOf("/") + 1);
}

/** The program that a word names: also in `--rsh=sshpass` and `(ConvertTo-SecureString`. */
export function programName(text: string): string {
  return /[^/=(]*$/.exec(text)?.[0] ?? "";
}

/** Hides a word without the quotes and semicolons around it. */
export function hideBare(marks: Marks, word: Word): void {
  const { start, end, text } = word;
  const quoted = marks.valueEnd(start, "");
  if (quoted > end) marks.hide(start, quoted);
  else hidePart(marks, word, 0, text.length);
}

/** Hides the characters of a word's text from `from` up to `to`: the text lacks the quotes around it. */
export function hidePart(marks: Marks, { start, end, text }: Word, from: number, to: number): void {
  const textStart = start + marks.text.slice(start, end).indexOf(text);
  marks.hide(textStart + from, textStart + to);
}
