// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Values beside the name of a secret: `NAME=value`, `name: value`, JSON, headers, query strings.

import { markCall, markCurlOption } from "./calls.ts";
import { isHarmless, isSpace, looksRandom, MAX_SPACES, type Marks, spacesAt } from "./marks.ts";
import type { Classify } from "./names.ts";

const MAX_NAME = 100;
/** Characters of a header that are searched for a variable. */
const HEADER_STEPS = 300;
const NAME = /[A-Za-z0-9_.-]/;
const NAMED_VALUE = /^\s?["']?([\w.-]{2,64})["']?,\s?["']?(?:[\w.[\]]{1,64}\.|parameter)?value["']?[:=]\s?/i;
const HEADER_OF_TOKEN = /^(?=[A-Z])(?:[A-Za-z]+-)+(?:[Tt]oken|TOKEN)$/;
const SMB_USER = /^[\w.\\/-]{1,64}%(?=[^\s,]{3})/;
/** `user=name:x`, of curl's configuration and mounts; not a user and a group, as `user=app:app`, or a number. */
const USER_AND_PASSWORD = /^([A-Za-z][\w.-]{0,63}):(?!\1\b|\d+\b)(?=[^\s/:,"']{4})/;
/** `h=db,u=root,`, before `p=`. */
const DSN_USER = /(?:^|[\s,"'])u=[^\s,]*,(?:\w=[^\s,]*,)*$/;
/** Schemes that stand before the credentials of an Authorization header. */
const SCHEME = /^(?!https?:)[A-Za-z-]{2,24}\\?\s+(?=[^\s-])(?!https?:)/;

/** `token = getToken()`, `password = input("…`: a function. */
const CALL =
  /^(?:[A-Za-z_][\w.:>-]{0,79}\((?:[\w$]*\))?;?$|(?:[\w.]{0,40}\.)?(?:input|prompt|getpass|getenv|get)\(["'])/;
/** The first argument: a text, also of bytes (`b"x"`), a variable or an object. */
const OPENS_CALL = /^(?:["'${]|b["'])/;

export function markPairs(marks: Marks, classify: Classify): void {
  const { text } = marks;
  const quotes = new QuoteState();
  markCurlOption(marks);
  marks.spend(text.length);
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    quotes.pass(text, at);
    if (char === "=" || char === ":") markPair(marks, at, classify, quotes);
    else if (char === "(" && OPENS_CALL.test(text.slice(at + 1, at + 3)))
      markCall(marks, at, nameBefore(marks, at).name, classify);
    else if (char === ">") markElement(marks, at, classify);
  }
}

/** Marks the text of an XML element: `<password>x</password>`. */
function markElement(marks: Marks, at: number, classify: Classify): void {
  const { name, start } = nameBefore(marks, at);
  if (name === "" || !/[<:]/.test(marks.text[start - 1] ?? "")) return;
  const end = marks.valueEnd(at + 1, "<");
  if (marks.text.startsWith("</", end) && classify(name) === "strong") marks.hide(at + 1, end);
}

/** Quotes that are open at a position; a quote within the other kind is text. */
class QuoteState {
  open = "";

  pass(text: string, at: number): void {
    const char = text[at] as string;
    if ((char !== '"' && char !== "'") || text[at - 1] === "\\") return;
    if (this.open === "") this.open = char;
    else if (this.open === char) this.open = "";
  }
}

function markPair(marks: Marks, at: number, classify: Classify, quotes: QuoteState): void {
  const { text } = marks;
  const isColon = text[at] === ":";
  const { name, start, spaced } = nameBefore(marks, at);
  if (name === "") return;
  if (isColon && (text[at + 1] === ":" || (text[at + 1] === "/" && text[at + 2] === "/"))) return;
  // A path: /etc/passwd:/etc/passwd:ro; a part of an ARN.
  if (isColon && /[/:]/.test(text[start - 1] ?? "") && !text.startsWith("//", start - 2)) return;
  if (text[start - 1] === "{" && text[start - 2] === "$") return;
  if (!isColon) markLoginPair(marks, at, name, text[start] === "-");
  const strength = isPragmaKey(text, start, name) ? "strong" : classify(name);
  if (strength !== "strong" && /(?:^|\.)name$|^parameterkey$/i.test(name)) markNamedValue(marks, at + 1, classify);
  if (strength === "none") return;
  let from = at + 1;
  if (text[from] === "~" && spaced) return;
  if (text[from] === ">" || (text[from] === "=" && !isColon)) from++;
  const spaces = spacesAt(text, from);
  // `token= next`: an empty value; the next word is another argument.
  if (!isColon && spaces > 0 && !spaced && quotes.open === "") return;
  from += spaces;
  if (from >= text.length || closes(text, from, quotes)) return;
  if (isColon && isHeaderOfCredentials(name)) {
    markHeader(marks, from, quotes, name);
    return;
  }
  if (spaces > 0 && (text[from] === "-" || isNameOfNext(text, from))) return;
  const end = marks.valueEnd(from, isColon ? "&;," : "&;");
  const value = text.slice(from, end);
  const isFlag = text.startsWith("--", start);
  const isNamed = (isColon || isFlag) && isNameOfOne(name) && isNameValue(isFlag ? `--${name}` : name, value);
  if (text[start] === "-" && isColon && /^(?:env|file)$/.test(value)) return;
  if (/^\d{1,2}$/.test(value) || (spaced && CALL.test(value))) return;
  if (isHarmless(value) || isNamed || (isNameOfOne(name) && (isCount(value) || isVersion(value)))) return;
  const isLogin = strength === "weak" && /^\(["'].*,/.test(value);
  if (strength === "strong" || isLogin || looksRandom(value)) marks.hide(from, end);
}

/** Marks x of `--basic-auth=user:x`, of `user=name%x` for SMB, and of `u=user,p=x` in a DSN. */
function markLoginPair(marks: Marks, at: number, name: string, isOption: boolean): void {
  const { text } = marks;
  const kind = /auth(?:\.user\.info)?$/i.test(name)
    ? /^[\w.-]{1,64}:(?=[^/\s]{3})(?!\d+\b)/
    : /^user(?:name)?$/i.test(name)
      ? SMB_USER
      : undefined;
  const after = at + 1 + spacesAt(text, at + 1);
  const from = after + (/["']/.test(text[after] ?? "") ? 1 : 0);
  if (kind) {
    const value = text.slice(from, from + MAX_NAME);
    const user = kind.exec(value)?.[0] ?? (isOption ? undefined : USER_AND_PASSWORD.exec(value)?.[0]);
    if (user && (!user.endsWith("%") || /cifs|smb/.test(text))) marks.hideValue(from + user.length, "&;,\"'");
  }
  if (name === "p" && DSN_USER.test(text.slice(Math.max(0, at - MAX_NAME), at - 1))) marks.hideValue(from, ",\"'");
}

/** Marks x of `"name":"DB_PASSWORD","value":"x"`, `env[0].name=…,env[0].value=x` and `ParameterKey=…,ParameterValue=x`. */
function markNamedValue(marks: Marks, at: number, classify: Classify): void {
  marks.spend(MAX_NAME);
  const found = NAMED_VALUE.exec(marks.text.slice(at, at + 2 * MAX_NAME));
  if (found && classify(found[1] as string) === "strong") marks.hideValue(at + found[0].length, ",;}");
}

/** `token=512`, `token_ttl: 5m`: too short for a secret, and more often a number of something. */
export function isCount(value: string): boolean {
  return /^\d{1,5}(?:ms|s|m|h|d)?$/.test(value);
}

/** `gem install token_auth -v 1.2.2`, `oauth-token==1.2`: the version of a package. */
export function isVersion(value: string): boolean {
  return /^v?\d+(?:\.\d+)+$/.test(value);
}

/** True of a plain word that may be a name: not in `X-Auth-Token: word`, and not of 8 letters after `--token`. */
export function isNameValue(name: string, value: string): boolean {
  if (!/^[a-z][a-z-]*[)}]?$/.test(value) || HEADER_OF_TOKEN.test(name)) return false;
  return !(/^--?(?:[\w.-]*[.-])?token$/i.test(name) && /^[a-z]{8,}$/.test(value));
}

/** `--secret=db`, `--auth-token=simple`, `secret:show`: such a word names a secret or a method. */
export function isNameOfOne(name: string): boolean {
  return /(?:(?<!(?:client|consumer|hmac|jwt|session|signing)[-_]?)secret|tokens?|auth|secret[-_]id)$/i.test(name);
}

/** `PRAGMA key = 'x'` of SQLCipher. */
function isPragmaKey(text: string, start: number, name: string): boolean {
  return /^(?:re)?key$/i.test(name) && /pragma\s$/i.test(text.slice(Math.max(0, start - 7), start));
}

/** True where an open quote ends. */
function closes(text: string, at: number, { open }: QuoteState): boolean {
  return open !== "" && text[at] === open;
}

function isHeaderOfCredentials(name: string): boolean {
  return /(?:^|[-_.])(?:authorization|cookie)$/i.test(name);
}

/** Marks a header to the end of its quotes; without quotes the credentials only. */
function markHeader(marks: Marks, from: number, quotes: QuoteState, name: string): void {
  const { text } = marks;
  marks.spend(HEADER_STEPS);
  const credentials = text.slice(from, from + HEADER_STEPS).replace(SCHEME, "");
  if (/^\S*\$[\w{(]/.test(credentials) || isHarmless(/^\S*/.exec(credentials)?.[0] ?? "")) return;
  const quote = marks.quoteAt(from) || quotes.open;
  if (quote !== "") {
    const start = marks.quoteAt(from) === "" ? from : from + quote.length;
    const end = text.indexOf(quote, start);
    marks.hide(start, end < 0 ? text.length : end);
    return;
  }
  const scheme = SCHEME.exec(text.slice(from, from + 40))?.[0] ?? "";
  let end = marks.valueEnd(from + scheme.length, "\"'");
  if (/^digest\s/i.test(scheme)) end = parametersEnd(text, end);
  // A cookie has several pairs; words after a credential belong to it unless they are options or addresses.
  while (
    end < text.length &&
    /^\s+(?![-'"]|https?:|wss?:|[\w.-]+:\d)(?:[\w.]+=|$)?/.test(text.slice(end, end + 80)) &&
    hasMore(text, end, name)
  ) {
    end = marks.valueEnd(end + spacesAt(text, end), "\"'");
  }
  marks.hide(from, end);
}

/** The end of `username="a", response="x"`. */
function parametersEnd(text: string, at: number): number {
  const rest = /^(?:"[^"]*"|[\w=-]|,\s*(?=\w+=))*/.exec(text.slice(at, at + HEADER_STEPS))?.[0] ?? "";
  return at + rest.length;
}

function hasMore(text: string, end: number, name: string): boolean {
  const before = text[end - 1];
  return before === ";" || before === "," || (/cookie/i.test(name) && /^\s+[\w.-]+=/.test(text.slice(end, end + 80)));
}

/** The name that ends before a separator, without quotes and brackets; `spaced` where white space stands between. */
function nameBefore(marks: Marks, at: number): { name: string; start: number; spaced: boolean } {
  const { text } = marks;
  let end = at;
  while (end > at - MAX_SPACES && end > 0 && isSpace(text, end - 1)) end--;
  const spaced = end < at;
  while (end > 0 && /["'\\\])]/.test(text[end - 1] as string) && at - end < 6) end--;
  let start = end;
  while (start > 0 && end - start < MAX_NAME && NAME.test(text[start - 1] as string)) start--;
  marks.spend(at - start);
  // -HAuthorization: x
  const name = text.slice(start, end).replace(/^-H(?=[A-Z])|^-+/, "");
  return { name, start, spaced };
}

/** True where another name with its separator stands in place of a value: `password= user= x`. */
function isNameOfNext(text: string, from: number): boolean {
  return /^[\w.-]{1,32}[:=](?:\s|$)/.test(text.slice(from, from + 40));
}
