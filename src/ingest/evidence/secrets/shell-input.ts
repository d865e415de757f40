// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets that a shell passes to a program on standard input.

import { READS_WITH, SECRET_FILES, STDIN_READERS } from "./commands.ts";
import { isHarmless, looksRandom, type Marks } from "./marks.ts";
import type { Classify } from "./names.ts";
import { baseName, hideBare, programName, type Word } from "./words.ts";

/** Bound on here-documents and here-strings that are searched. */
const MAX_HERES = 4;
/** `--password-stdin`, `--passwd-on-stdin`. */
const SECRET_FROM_STDIN = /^--?[a-z-]{0,20}(?:pass|passwd|password|passphrase|token|secret|key)-(?:on-|from-)?stdin$/;

/** Marks input of a program that reads a secret (`echo x | sudo -S`, `<<< x`) or text written to a file of secrets. */
export function markInput(marks: Marks, words: readonly Word[], classify: Classify): void {
  let segment = 0;
  let pipe = 0;
  let reader = -1;
  let heres = 0;
  let here = -1;
  for (const [at, word] of words.entries()) {
    if (STDIN_READERS.has(baseName(word.text))) reader = at;
    const raw = marks.text.slice(word.start, word.end);
    if (raw.startsWith("<<") && heres++ < MAX_HERES) {
      here = at;
      const isStored = words.slice(Math.max(0, at - 3), at + 4).some((_, i, near) => isStoredAt(near, i, classify));
      if (isStored || (reader >= 0 && readsSecret(words, reader))) markHere(marks, words, at);
      else if (raw === "<<<" && looksRandom(words[at + 1]?.text ?? "")) markHere(marks, words, at);
    } else if (raw === "|") {
      const isSecret =
        readsSecret(words, at + 1) || looksRandom(words[at - 1]?.text ?? "") || isWrittenByTee(words, at + 1, classify);
      if (isSecret) hideEchoes(marks, words, pipe, at);
      if (isSecret && here >= pipe) markHere(marks, words, here);
      pipe = at + 1;
    } else if (isStoredAt(words, at, classify)) {
      hideEchoes(marks, words, segment, at);
      segment = at + 1;
    }
    if (
      PRINTS.test(raw) &&
      (isTakenAsSecret(marks, words, at, classify) || (reader >= 0 && isInput(words, at, reader)))
    ) {
      const end = words.findIndex(({ end }, i) => i > at && marks.text[end - 1] === ")");
      hideEchoes(marks, words, at, end < 0 ? words.length : end + 1);
    }
    if (PRINTS_SECRET.test(word.text)) markPrinted(marks, words, at);
    if (word.text.endsWith("printf")) markFormatted(marks, words, at, classify);
    if (word.isSeparator) segment = at + 1;
  }
}

/** `--password-file <(echo`, `private-key <(echo`, `--from-file=pw=<(echo`, `-pass file:<(echo`. */
function isTakenAsSecret(marks: Marks, words: readonly Word[], at: number, classify: Classify): boolean {
  const { start, end } = words[at] as Word;
  const before = words[at - 1];
  const raw = marks.text.slice(start, end);
  const attached = raw.slice(0, raw.lastIndexOf("<("));
  const isApart = attached === "" || attached === "file:";
  const option = isApart ? (before?.text ?? "") : attached;
  // Another substitution: `diff <(echo token) <(echo x)`.
  if (isApart && before && marks.text[before.end - 1] === ")") return false;
  return TAKES_SECRET.test(option) || classify(option.split("=").findLast((part) => part !== "") ?? "") === "strong";
}

/** True of `< <(echo`, where a program reads a secret. */
function isInput(words: readonly Word[], at: number, reader: number): boolean {
  return words[at - 1]?.text === "<" && readsSecret(words, reader);
}

/** True where a redirection into a file of secrets stands at a position. */
function isStoredAt(words: readonly Word[], at: number, classify: Classify): boolean {
  const [, attached] = /^>>?(.*)$/.exec(words[at]?.text ?? "") ?? [];
  if (attached === undefined) return false;
  return isSecretFile(attached === "" ? (words[at + 1]?.text ?? "") : attached, classify);
}

/** True where the program from a position on is tee with a file of secrets. */
function isWrittenByTee(words: readonly Word[], from: number, classify: Classify): boolean {
  const args = words.slice(from, from + 5);
  const tee = args.findIndex(({ text }) => baseName(text) === "tee");
  const file = args.slice(tee + 1).find(({ text }) => !text.startsWith("-"));
  return tee >= 0 && tee < 2 && file !== undefined && isSecretFile(file.text, classify);
}

/** A file with a known name, or with that of a secret: `/run/secrets/db_password`, `auth.txt`. */
function isSecretFile(path: string, classify: Classify): boolean {
  const base = baseName(path);
  if (SECRET_FILES.test(base)) return true;
  const name = base.replace(/^\.+|\.(?:txt|key|pass)$/g, "");
  return /^[A-Za-z][\w-]{2,63}$/.test(name) && name !== "passwd" && classify(name) === "strong";
}

/** True where one of the first words from a position on is a program that reads a secret from its input. */
function readsSecret(words: readonly Word[], from: number): boolean {
  let end = from;
  while (end < words.length && end < from + 12 && !(words[end] as Word).isSeparator) end++;
  const args = words.slice(from, end);
  if (args.some(({ text }) => SECRET_FROM_STDIN.test(text))) return true;
  return args.slice(0, 3).some(({ text }) => {
    const name = baseName(text);
    const needed = READS_WITH.get(name);
    return STDIN_READERS.has(name) && (needed === undefined || args.some((arg) => needed.test(arg.text)));
  });
}

function markHere(marks: Marks, words: readonly Word[], at: number): void {
  const { text, start, end } = words[at] as Word;
  marks.spend(words.length - at);
  if (text.startsWith("<<<")) {
    const from = text.length > 3 ? start + 3 : words[at + 1]?.start;
    if (from !== undefined) marks.hideValue(from, "");
    return;
  }
  const mark = text.replace(/^<<-?/, "").replace(/["']/g, "");
  const close = words.findIndex((word, i) => i > at && word.text === mark);
  const stop = close < 0 ? marks.text.length : (words[close] as Word).start - 1;
  if (stop > end + 1) marks.hide(end + 1, stop);
}

/** Hides the arguments of echo and printf before a position, except options. */
function hideEchoes(marks: Marks, words: readonly Word[], from: number, to: number): void {
  let isEcho = false;
  let start = -1;
  marks.spend((to - from) * 2);
  for (let at = from; at < to; at++) {
    const word = words[at] as Word;
    const isLast = at + 1 === to || word.isSeparator || marks.text[word.end - 1] === ";";
    if (isEcho && start < 0 && !ECHO_OPTION.test(word.text) && !word.isSeparator) start = word.start;
    if (isLast && start >= 0) {
      hideWithin(marks, start, word.isSeparator ? (words[at - 1] as Word).end : word.end);
      start = -1;
    }
    isEcho = !isLast && (isEcho || /^(?:echo|printf|yes)$/.test(programName(word.text)));
  }
}

/** Options with a file of secrets, which may be `<(echo x)`. */
const TAKES_SECRET = /^(?:-y$|--?[\w-]*(?:pass|secret|token|key|cred|netrc))/;
/** Options with a command that prints a secret: `--password-command "echo x"`, `--passwordeval=echo x`. */
const PRINTS_SECRET = /^--?[\w-]{0,40}pass(?:word|phrase)?[-_]?(?:eval|cmd|command)(?:=["']?(?:echo|printf))?$/;
const PRINTS = /<\((?:echo|printf)$/;
/** Options, and a format without text of its own. */
const ECHO_OPTION = /^(?:-[neE]{1,3}|--|%s(?:\\n)?)$/;

/** `'password=%s\n'`, `"login %s password %s"` */
const SECRET_FORMAT = /(?<![\w.-])([\w.-]{2,64})["']?[=:\s]\s?["']?%s/g;

/** Marks what printf puts in a format with the name of a secret: all of its arguments. */
function markFormatted(marks: Marks, words: readonly Word[], at: number, classify: Classify): void {
  const format = words[at + 1];
  if (!format) return;
  const end = marks.valueEnd(format.start, "");
  const names = marks.text.slice(format.start, end).matchAll(SECRET_FORMAT);
  if (![...names].some(([, name]) => classify(name as string) === "strong")) return;
  marks.spend(words.length - at);
  for (const word of words.slice(at + 2)) {
    if (word.isSeparator || /^[<>]/.test(word.text)) return;
    if (word.start >= end && !isHarmless(word.text)) hideBare(marks, word);
    if (/[;)]$/.test(marks.text.slice(word.start, word.end))) return;
  }
}

/** Marks the first word that is printed, and its quotes. */
function markPrinted(marks: Marks, words: readonly Word[], option: number): void {
  const from = (words[option] as Word).text.includes("=") ? option + 1 : option + 2;
  if (from > option + 1 && !/^(?:echo|printf)$/.test(words[option + 1]?.text ?? "")) return;
  const printed = words.slice(from, from + 3).find(({ text }) => !ECHO_OPTION.test(text));
  if (printed && !printed.isSeparator && !printed.text.startsWith("$")) hideBare(marks, printed);
}

function hideWithin(marks: Marks, start: number, end: number): void {
  const value = marks.text.slice(start, end).replace(/["');]+$/, "");
  if (/^"?\$/.test(value) && isHarmless(value)) return;
  marks.hide(start, start + value.length);
}
