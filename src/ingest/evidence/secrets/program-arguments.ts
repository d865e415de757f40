// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets in the options and arguments of known programs.

import { PROGRAMS } from "./commands.ts";
import { isHarmless, type Marks } from "./marks.ts";
import { baseName, hideBare, programName, type Word } from "./words.ts";

/** Bounds of the search: programs in one command line, and arguments of each. */
const MAX_PROGRAMS = 8;
const MAX_ARGUMENTS = 128;

export function markPrograms(marks: Marks, words: readonly Word[]): void {
  let programs = 0;
  for (const [at, word] of words.entries()) {
    const program = PROGRAMS.get(programName(word.text));
    if (!program || programs++ === MAX_PROGRAMS) continue;
    const args = getArguments(marks, words, at + 1);
    marks.spend(args.length * (program.options.size + 2 * program.commands.length));
    markOptions(marks, args, program.options);
    for (const { word: needed, options } of program.after) {
      if (args.some(({ text }) => text === needed)) markOptions(marks, args, options);
    }
    for (const command of program.commands) markCommand(marks, args, command);
    if (baseName(word.text) === "htpasswd") markHtpasswd(marks, args);
  }
}

/** The words up to the end of a command. */
function getArguments(marks: Marks, words: readonly Word[], from: number): Word[] {
  const args: Word[] = [];
  for (const word of words.slice(from, from + MAX_ARGUMENTS)) {
    if (word.isSeparator) break;
    args.push(word);
    if (marks.text[word.end - 1] === ";") break;
  }
  return args;
}

function markOptions(marks: Marks, args: readonly Word[], options: ReadonlyMap<string, string>): void {
  for (const [at, word] of args.entries()) {
    if (!word.text.startsWith("-")) continue;
    const found = findOption(word.text, options);
    if (!found) continue;
    const { option, kind, from } = found;
    const start = word.start + marks.text.slice(word.start, word.end).indexOf(word.text) + from;
    if (from < word.text.length) markKind(marks, start, kind);
    else if (kind !== "+") {
      const next = args[at + 1];
      if (next && !(next.text.startsWith("-") && option.length > 1 && next.text.length > 1))
        markKind(marks, next.start, kind);
    }
  }
}

/** The option at the start of a word; `from`: start of its value, or the end of the word where the next word is it. */
function findOption(
  text: string,
  options: ReadonlyMap<string, string>,
): { option: string; kind: string; from: number } | undefined {
  const equals = text.indexOf("=");
  const name = equals > 0 ? text.slice(0, equals) : text;
  const exact = options.get(name);
  if (exact !== undefined) return { option: name, kind: exact, from: equals > 0 ? equals + 1 : text.length };
  if (text.startsWith("--")) return undefined;
  for (const [option, kind] of options) {
    if (option.startsWith("--")) continue;
    if (option.length === 2 || kind === "+") {
      if (text.startsWith(option))
        return isAttached(text.slice(option.length), kind) ? { option, kind, from: option.length } : undefined;
      // -sSLu user:secret: short options in one word.
      if (option.length === 2 && /^-[A-Za-z]{2,6}$/.test(text) && text.endsWith(option[1] as string) && kind !== "+")
        return { option, kind, from: text.length };
    }
  }
  return undefined;
}

/** `-pdf` of an archiver, `-print` of a tool: a word, not an option with its value. */
function isAttached(value: string, kind: string): boolean {
  if (kind === "+") return value.length > 2;
  return kind !== "" || !/^[a-z]{1,12}$/.test(value) || value.length > 6;
}

/** Marks the secret in an option's value. */
function markKind(marks: Marks, start: number, kind: string): void {
  const { text } = marks;
  const end = marks.valueEnd(start, "");
  const value = text.slice(start, end);
  if (value === '""' || value === "''" || (/^["']?\$[\w{(]/.test(value) && isHarmless(value))) return;
  if (kind === "#") marks.hide(start, end);
  if (kind === "" || kind === "+" || kind === "$") {
    if (!/^["']?(?:\/[\w.-]+){2,}$|^\d{1,5}$|^[!*]{1,2}$/.test(value) && !isCookieFile(value)) marks.hide(start, end);
    return;
  }
  if (/^\d+:\d+$/.test(value)) return;
  const at = value.indexOf(kind);
  const rest = value.slice(at + kind.length);
  if (at < 0 || rest === "" || rest === '"' || rest === "'" || isVariable(rest)) return;
  const quote = /["']$/.test(value) && /^["']/.test(value) ? 1 : 0;
  if (/^\/\//.test(rest)) return;
  marks.hide(start + at + kind.length, end - quote);
}

function isVariable(value: string): boolean {
  return value.startsWith("$") && isHarmless(value);
}

/** curl's -b also takes a file. */
function isCookieFile(value: string): boolean {
  return /^[\w./-]+\.(?:txt|jar|cookies?)$/.test(value);
}

/** Marks secrets in the arguments of a command that are not options. */
function markCommand(marks: Marks, args: readonly Word[], command: readonly string[]): void {
  const isAnchored = command[0]?.startsWith("^") ?? false;
  const pattern = isAnchored ? [(command[0] as string).slice(1), ...command.slice(1)] : command;
  const plain = args.filter(({ text }) => !text.startsWith("-") || pattern.includes(text));
  const lead = pattern.findIndex(
    (part) => part.includes("$") || part === "=" || part === ":" || part.includes(">") || part === "*/",
  );
  for (let at = 0; at + lead < plain.length; at++) {
    if (matchesLead(plain, at, pattern.slice(0, lead))) {
      markRest(marks, plain, at + lead, pattern[lead] as string);
      return;
    }
    if (isAnchored) return;
  }
}

function matchesLead(plain: readonly Word[], at: number, lead: readonly string[]): boolean {
  return lead.every((part, i) => {
    const text = (plain[at + i] as Word).text;
    return part === "*" || part === text.toLowerCase() || (part.endsWith("*") && text.startsWith(part.slice(0, -1)));
  });
}

function markRest(marks: Marks, plain: readonly Word[], at: number, part: string): void {
  const hide = (word: Word | undefined) => {
    if (!word) return;
    const end = marks.valueEnd(word.start, "");
    const value = marks.text.slice(word.start, end);
    if (!isHarmless(value) && !/^(?:<<|\/[a-z]+:|(?:role|username|path|mount)=)/.test(value)) hideBare(marks, word);
  };
  const last = plain.at(-1);
  if (part === "$") hide(plain[at]);
  else if (part === "...$") hide(last);
  else if (part === "...>")
    for (const word of plain.slice(at))
      if (word.text.startsWith(">") && word.text.length > 1)
        marks.hide(word.start + marks.text.slice(word.start, word.end).indexOf(">") + 1, word.end);
  if (part === "=") for (const word of plain.slice(at)) hideAfter(marks, word, "=");
  if (part === ":") for (const word of plain.slice(at, at + 1)) hideAfter(marks, word, ":");
  if (part === "*/") for (const word of plain.slice(at, at + 2)) hideOracle(marks, word);
}

function hideAfter(marks: Marks, { start, text, end }: Word, sign: string): void {
  const raw = marks.text.slice(start, end);
  const at = raw.indexOf(sign);
  if (at > 0 && !isHarmless(raw.slice(at + 1)) && text !== "") marks.hide(start + at + 1, end);
}

/** `user/password@database`, `userid=user/password`. */
function hideOracle(marks: Marks, { start, end }: Word): void {
  const raw = marks.text.slice(start, end);
  const found = /^["']?(?:userid=)?([^\s/@"'=-][^\s/@"'=]{0,127})\/([^\s@"'/]+)/.exec(raw);
  if (!found) return;
  const from = start + raw.indexOf("/") + 1;
  marks.hide(from, from + (found[2] as string).length);
}

function markHtpasswd(marks: Marks, args: readonly Word[]): void {
  const flags = args.filter(({ text }) => /^-[A-Za-z0-9]+$/.test(text)).map(({ text }) => text);
  if (!flags.some((flag) => flag.includes("b") || flag.includes("n"))) return;
  const plain = args.filter(({ text }) => !text.startsWith("-"));
  const secret = plain[flags.some((flag) => flag.includes("n")) ? 1 : 2];
  if (secret && !secret.isSeparator) hideBare(marks, secret);
}
