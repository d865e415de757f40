// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Credentials in URLs and in `user:password@host`.

import { isHarmless, isSpace, looksRandom, type Marks } from "./marks.ts";

/** GitHub's password where the user is a token. */
const TOKEN_AS_USER = "x-oauth-basic";
const AUTHORITY_ENDS = "\"'/?#<>\\";
/** Longer than a typed password; cut text ends in an ellipsis. */
const MIN_CUT = 12;
const MAX_ORACLE_URL = 300;
const ORACLE_URL = /^(jdbc:oracle:\w{1,8}:[^\s/@"']{1,64}\/)[^\s@"']{1,128}@/;

/** Marks `//user:password@`, up to the last `@` of the authority, and a token alone before the host. */
export function markUrls(marks: Marks): void {
  const { text } = marks;
  for (let at = text.indexOf("://"); at >= 0; at = text.indexOf("://", at + 3)) {
    markUserinfo(marks, at + 3);
  }
  markOracleUrl(marks);
}

/** Marks x of `jdbc:oracle:thin:user/x@host`. */
function markOracleUrl(marks: Marks): void {
  const at = marks.text.indexOf("jdbc:oracle:");
  if (at < 0) return;
  marks.spend(MAX_ORACLE_URL);
  const [found, user] = ORACLE_URL.exec(marks.text.slice(at, at + MAX_ORACLE_URL)) ?? [];
  if (found && user) hideUnlessVariable(marks, at + user.length, at + found.length - 1);
}

function markUserinfo(marks: Marks, start: number): void {
  const { text } = marks;
  const end = authorityEnd(marks, start);
  const last = text.lastIndexOf("@", end - 1);
  const colon = text.indexOf(":", start);
  const hasColon = colon >= 0 && colon < end;
  if (last >= start) {
    if (text.slice(colon + 1, last) === TOKEN_AS_USER) marks.hide(start, colon);
    else if (hasColon && colon < last) hideUnlessVariable(marks, colon + 1, last);
    else if (looksSecret(text.slice(start, last))) marks.hide(start, last);
    return;
  }
  if (!hasColon || /^\d{1,5}(?:[/?#,;)\]]|$|\s)/.test(text.slice(colon + 1, colon + 8))) return;
  // A password with a slash in it, or one that was cut off.
  const word = text.slice(colon + 1, wordEnd(marks, colon + 1));
  const later = word.indexOf("@");
  if (later > 0) hideUnlessVariable(marks, colon + 1, colon + 1 + later);
  else if (word.endsWith("…") && word.length > MIN_CUT && colon + 1 + word.length >= text.length)
    marks.hide(colon + 1, colon + word.length);
}

function looksSecret(userinfo: string): boolean {
  return (userinfo.length >= 20 && /\d/.test(userinfo) && /^[\w.-]+$/.test(userinfo)) || looksRandom(userinfo);
}

function hideUnlessVariable(marks: Marks, start: number, end: number): void {
  const value = marks.text.slice(start, end);
  if (!value.startsWith("$") || !isHarmless(value)) marks.hide(start, end);
}

function authorityEnd(marks: Marks, start: number): number {
  const { text } = marks;
  let end = start;
  while (end < text.length && !isSpace(text, end) && !AUTHORITY_ENDS.includes(text[end] as string)) end++;
  marks.spend(end - start);
  return end;
}

function wordEnd(marks: Marks, start: number): number {
  const { text } = marks;
  let end = start;
  while (end < text.length && !isSpace(text, end) && text[end] !== '"' && text[end] !== "'") end++;
  marks.spend(end - start);
  return end;
}

/** `user:password@host` and `domain/user:password@host` as a word or `-L=…`; not an image with a tag and a digest. */
const BARE =
  /^["']?(?!(?:--[\w-]{1,32}=)?(?:group|serviceAccount|email|mailto|acct|sips?|xmpp|jdbc):)(?:-\w{1,2}=)?(?:[\w.-]{1,64}\/|:pserver:)?[\w.$%-]{1,64}:(?!\/)([^\s@"']{1,128})@(?!sha\d)[\w[:][\w.:\]-]*/;

/** Marks the password of a word in the form `user:password@host`. */
export function markBareUserinfo(marks: Marks, start: number, end: number): void {
  const word = marks.text.slice(start, end);
  const found = word.includes("@") && !word.includes("://") ? BARE.exec(word) : null;
  if (!found) return;
  const password = found[1] as string;
  const at = start + word.indexOf(`:${password}@`) + 1;
  hideUnlessVariable(marks, at, at + password.length);
}
