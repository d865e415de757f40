// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets in command lines, as KubeArmor shows them: words joined by spaces, with quotes only where a shell is given a
// script.

import { BARE_NAMES } from "./commands.ts";
import { isHarmless, looksRandom, type Marks } from "./marks.ts";
import { type Classify, splitName } from "./names.ts";
import { isCount, isNameOfOne, isNameValue, isVersion } from "./pairs.ts";
import { markPrograms } from "./program-arguments.ts";
import { markInput } from "./shell-input.ts";
import { markInsert, markSql } from "./sql.ts";
import { markBareUserinfo } from "./urls.ts";
import { baseName, hideBare, hidePart, splitWords, type Word } from "./words.ts";

/** Steps for the checks of a single word. */
const WORD_STEPS = 10;

/** Marks the secrets in options and arguments. */
export function markCommandLine(marks: Marks, classify: Classify): void {
  const words = splitWords(marks);
  if (words.length < 2) {
    for (const word of words) markWord(marks, word, classify);
    return;
  }
  for (const [at, word] of words.entries()) {
    markWord(marks, word, classify);
    markOption(marks, words, at, classify);
    markBareName(marks, words, at, classify);
    markRandom(marks, words, at);
    markSql(marks, words, at);
    markCredentials(marks, words, at);
  }
  markInsert(marks, classify);
  markLogin(marks, words);
  markPrograms(marks, words);
  markInput(marks, words, classify);
  markAnswers(marks, words);
}

/** `--name value`, `-name value`. */
function markOption(marks: Marks, words: readonly Word[], at: number, classify: Classify): void {
  const { text } = words[at] as Word;
  const next = words[at + 1];
  if (!next || !/^--?[A-Za-z][\w.-]{1,99}$/.test(text) || next.isSeparator) return;
  const strength = classify(text.replace(/^-+/, ""));
  if (strength === "none" || isNameOfSecret(words, text)) return;
  const end = marks.valueEnd(next.start, "");
  const value = marks.text.slice(next.start, end);
  if (value.startsWith("-") || /^\d$/.test(value) || isHarmless(value)) return;
  const password = /^--(?:[a-z]+-)?auth$/.test(text) ? /^[\w.-]+:(?=[^/\s]{3})/.exec(value)?.[0] : undefined;
  if (password) marks.hide(next.start + password.length, end);
  // `--password user=x`: another name with its own value.
  if (/^[^\s=:]+[:=]$/.test(value) && !looksRandom(value)) return;
  const isNamed = isNameOfOne(text) && (isNameValue(text, value) || isCount(value));
  const isStrong = strength === "strong" && !isNamed;
  if (isStrong || looksRandom(value)) marks.hide(next.start, end);
}

/** `Bearer x` and `Basic x`; a plain word after Basic is not base64, and so no credential. */
function markCredentials(marks: Marks, words: readonly Word[], at: number): void {
  const { text } = words[at] as Word;
  const next = words[at + 1];
  if (!next || !/(?:^|[\s:"'=])(?:bearer|[Bb]asic)["']?\\?$/i.test(text)) return;
  const value = next.text;
  const isBasic = /basic["']?\\?$/i.test(text);
  const isCredential = isBasic
    ? /^(?=[a-z/+]{0,40}[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2}$/.test(value)
    : /^[A-Za-z0-9._~+/=:][A-Za-z0-9._~+/=:-]{3,}$/.test(value);
  if (isCredential) hideBare(marks, next);
}

function markWord(marks: Marks, word: Word, classify: Classify): void {
  marks.spend(WORD_STEPS);
  markBareUserinfo(marks, word.start, word.end);
  markSlashOption(marks, word);
  markSubstitution(marks, word, classify);
  markAttached(marks, word);
}

/** `s/@@PASSWORD@@/x/` of sed, with a placeholder in upper case. */
function markSubstitution(marks: Marks, word: Word, classify: Classify): void {
  const { text } = word;
  const sign = /^s([/|#,~!])/.exec(text)?.[1];
  if (sign === undefined) return;
  const middle = text.indexOf(sign, 2);
  const close = text.indexOf(sign, middle + 1);
  if (middle < 0 || close < 0) return;
  const name = /^(?:_|[^\w\s]){0,4}([A-Z][A-Z0-9_]{1,63})[^\w\s]{0,4}$/.exec(text.slice(2, middle))?.[1];
  if (name === undefined || classify(name) !== "strong" || !isTyped(text.slice(middle + 1, close))) return;
  hidePart(marks, word, middle + 1, close);
}

/** `/password:x`, as programs from Windows have it. */
function markSlashOption(marks: Marks, { end, text }: Word): void {
  const name = /^\/(?:p|rp|gp|pw|pwd|pass|password|token|key)[:=](?=[^/])/i.exec(text)?.[0];
  if (name) marks.hide(end - text.length + name.length, end);
}

/** `-px` of an unknown program, where x looks random: it may be a port, a path, a file mode or a word. */
function markAttached(marks: Marks, word: Word): void {
  const value = /^-p(["']?[^\s/.~=:][^\s/=:]*={0,2})$/.exec(word.text)?.[1];
  if (value === undefined || !looksRandom(value)) return;
  hidePart(marks, word, 2, 2 + value.length);
}

/** Words before a secret, or before a user and a secret. */
const LOGIN_WORDS = /^(?:login|auth|authenticate|passwd|(?:set|change|reset)-password|unlock|unseal)$/;
/** Short options that take a secret in some programs. */
const SHORT_OPTION = /^-[pPkwst]$/;
/** Of those, options that take a name more often, and the least length of a secret behind them. */
const NAMING_OPTION = /^-[st]$/;
const MIN_BEHIND_NAMING = 20;
/** A hash in hexadecimal: a commit, an image or a container. */
const HASH = /^(?:[\da-f]{40}|[\da-f]{64})$/;

/** `login x`, `login name x` and `-k x` of an unknown program, where x looks random. */
function markRandom(marks: Marks, words: readonly Word[], at: number): void {
  const { text } = words[at] as Word;
  const isShort = SHORT_OPTION.test(text);
  const reach = LOGIN_WORDS.test(text) ? 2 : isShort ? 1 : 0;
  for (const next of words.slice(at + 1, at + 1 + reach)) {
    if (next.isSeparator || (isShort && HASH.test(next.text))) return;
    if (NAMING_OPTION.test(text) && next.text.length < MIN_BEHIND_NAMING) return;
    if (/^[^/.:=-][^/.:]*$/.test(next.text) && looksRandom(next.text)) hideBare(marks, next);
  }
}

/** Programs with `-u`, and a `-p` for something else: a priority, a prompt, a port, a project. */
const NO_LOGIN =
  /^(?:journalctl|sudo|ps|top|htop|strace|lsof|ss|netstat|mkdir|cp|rsync|rclone|docker-compose|compose|gosu|runuser|su-exec|python[\d.]*)$/;
const USER_OPTION = /^(?:-[uU]|--?user(?:name)?|--login)$/;

/** `-u name … -p word`, in any program: a login. A port, a mapping of ports and a path are not hidden. */
function markLogin(marks: Marks, words: readonly Word[]): void {
  marks.spend(words.length * 2);
  if (words.some(({ text }) => NO_LOGIN.test(baseName(text)))) return;
  let hasUser = false;
  for (const [at, { text, isSeparator }] of words.entries()) {
    if (isSeparator) hasUser = false;
    const next = words[at + 1];
    if (USER_OPTION.test(text) && next && /^[^-/]/.test(next.text)) {
      hasUser = true;
      markUserPassword(marks, next);
    }
    if (hasUser) markLoginOption(marks, words[at] as Word, next);
  }
}

/** `-u name:x`, where x has letters and a digit or a sign: not a user and a group, and not a host and a port. */
function markUserPassword(marks: Marks, word: Word): void {
  const { text } = word;
  const user = /^[A-Za-z][\w.@-]{0,63}:(?=[^/:]*[A-Za-z])(?!\S*\/\/)/.exec(text)?.[0];
  if (user === undefined || !isTyped(text.slice(user.length))) return;
  hidePart(marks, word, user.length, text.length);
}

function markLoginOption(marks: Marks, option: Word, value: Word | undefined): void {
  const { text, start, end } = option;
  const attached = /^-p(?!["']?\$)(?=[^\d/.=:-][^/:]{3,}$)/.exec(text);
  if (attached) marks.hide(marks.text.indexOf("-p", start) + 2, end);
  else if (/^-[pP]$/.test(text) && value && /^[^\d/.$-][^/:]{3,}$/.test(value.text)) hideBare(marks, value);
}

/** `docker build --secret id=x`, `podman run --secret=x`, `aws secretsmanager --secret-id x`: the name of one. */
function isNameOfSecret(words: readonly Word[], option: string): boolean {
  const commands = { "--secret": /^(?:build|run|buildx|service)$/, "--secret-id": /^secretsmanager$/ }[option];
  return commands !== undefined && words.some(({ text }) => commands.test(text));
}

/** `SMBPass`, `dbpassword`: one word, of which the last part is a secret. */
const COMPOUND = /[a-z](?:pass|passwd|password|secret)$/i;

/** `set aws_secret_access_key x`, `requirepass x`, `password x`. */
function markBareName(marks: Marks, words: readonly Word[], at: number, classify: Classify): void {
  const { text } = words[at] as Word;
  const next = words[at + 1];
  if (!next || next.isSeparator || text.startsWith("-")) return;
  markStoredSecret(marks, words, at);
  if (next.text.startsWith("-")) {
    const option = splitName(text).length > 1 ? /^(?:-v|--value)(?:=|$)/ : /^--value(?:=|$)/;
    if (option.test(next.text) && classify(text.slice(-100)) === "strong") markValueOption(marks, words, at + 1);
    return;
  }
  const name = (text.split(/[/:=]/).at(-1) as string).toLowerCase();
  if (!BARE_NAMES.has(name) && classify(text.slice(-100)) !== "strong") return;
  if (marks.text[next.start] === "=" || marks.text[next.start] === ">") return;
  const until = marks.valueEnd(next.start, ";");
  // The parenthesis of `<(echo password x)`.
  const end = marks.text[until - 1] === ")" && !marks.text.slice(next.start, until).includes("(") ? until - 1 : until;
  const value = marks.text.slice(next.start, end);
  if (isHarmless(value) || value === "PROMPT") return;
  const isCompound = splitName(text).length > 1 || COMPOUND.test(text);
  // `password_changed=1`: a value of its own.
  if (/=./.test(text) && !BARE_NAMES.has(name)) return;
  const isNamed = BARE_NAMES.has(name) || (isSetting(words, at) && (isCompound || isTyped(value))) || text === "_auth";
  if (isNamed || (looksRandom(value) && !value.includes("="))) marks.hide(next.start, end);
}

/** True of text with a digit or a sign, which a word of a sentence lacks. */
function isTyped(value: string): boolean {
  return /^[^\s=]{6,}$/.test(value) && /[\d!@#$%^&*+?]/.test(value) && !isHarmless(value);
}

/** `--value x`, `--value=x`, `-v x` behind the name of a secret. */
function markValueOption(marks: Marks, words: readonly Word[], at: number): void {
  const { start, end, text } = words[at] as Word;
  const equals = text.indexOf("=");
  const next = words[at + 1];
  if (equals > 0) marks.hide(start + marks.text.slice(start, end).indexOf("=") + 1, end);
  else if (next && !next.isSeparator && !isVersion(next.text)) hideBare(marks, next);
}

/** `secret put name x`, `secrets set name x`. */
function markStoredSecret(marks: Marks, words: readonly Word[], verb: number): void {
  if (
    !/^(?:secrets?|api-?keys?|tokens?|credentials?)$/i.test(words[verb - 1]?.text ?? "") ||
    !/^(?:put|set|add|create|write|save|store)$/.test(words[verb]?.text ?? "")
  )
    return;
  const [name, value] = words.slice(verb + 1, verb + 3);
  if (!name || !value || value.isSeparator || /^-|=/.test(name.text) || /^[-<]|^\w+=./.test(value.text)) return;
  if (!isHarmless(value.text)) hideBare(marks, value);
}

function isSetting(words: readonly Word[], at: number): boolean {
  for (let before = Math.max(0, at - 6); before < at; before++) {
    if (/^(?:set|put|write|config|configure|login|add|mod|modify)$/i.test((words[before] as Word).text)) return true;
  }
  return false;
}

/** Text that expect sends to a prompt for a password. */
function markAnswers(marks: Marks, words: readonly Word[]): void {
  const prompt = /assw(?:or)?d|assphrase/.exec(marks.text)?.index;
  if (prompt === undefined) return;
  for (const [at, word] of words.entries()) {
    if (word.start < prompt || word.text !== "send") continue;
    const next = words[at + 1]?.text === "--" ? words[at + 2] : words[at + 1];
    if (next) marks.hideValue(next.start, "}");
  }
}
