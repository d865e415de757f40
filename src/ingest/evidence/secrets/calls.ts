// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets in calls of functions, in SQL and in the scripts of programming languages.

import { isHarmless, type Marks, spacesAt } from "./marks.ts";
import { type Classify, splitName } from "./names.ts";

/** Characters that are read for the name of an argument, and for one behind an object. */
const MAX_NAME = 100;
const MAX_OBJECT = 300;
const MAX_ARGUMENTS = 6;
const NAME_ARGUMENT = /^\(\\?["']([\w.-]{2,64})\\?["'],\s?(?=\\?["'])/;
/** Calls with the user as first argument, and those with the key. */
const ORACLE = /(?:cx_Oracle|oracledb)\.connect$/i;
const HMAC = /^(?:hmac\.new|createHmac)$/;

/** Calls with a secret as an argument without a name, and which one it is. */
const SECRET_ARGUMENTS = new Map([
  ["pdo", 2],
  ["ftp", 2],
  ["ftp_tls", 2],
  ["simple_bind_s", 1],
  ["simple_bind", 1],
  ["fernet", 0],
  ["mysqli", 2],
  ["mysqli_connect", 2],
  ["connect", 2],
  ["getconnection", 2],
  ["createconnection", 2],
  ["newinstance", 2],
  ["create_user", 2],
  ["create_superuser", 2],
  ["changeuserpassword", 1],
]);

/** Marks the secret in a call: `PASSWORD('x')`, `connect("db", "user", "x")`, `define("DB_PASSWORD", "x")`. */
export function markCall(marks: Marks, at: number, name: string, classify: Classify): void {
  const call = (name.split(".").at(-1) as string).toLowerCase();
  const position = ORACLE.test(name) ? 1 : HMAC.test(name) ? 0 : SECRET_ARGUMENTS.get(call);
  if (position !== undefined) markArgument(marks, at + 1, position);
  markNamedArgument(marks, at, classify);
  if (/^(?:encode|sign)$/.test(call)) markSigningKey(marks, at);
  if (/[{b]/.test(marks.text[at + 1] as string)) return;
  const isVariable = marks.text[at + 1] === "$";
  const isAuth = /^(?:auth|login)$/i.test(splitName(name.replace(/(?<=auth)_password$/, "")).at(-1) ?? "");
  if (name === "" || !(isAuth || (classify(name) === "strong" && splitName(name).length === 1))) return;
  const close = marks.text.indexOf(")", at);
  const end = isAuth ? (close < 0 ? marks.text.length : close) : marks.valueEnd(at + 1, ")");
  const value = marks.text.slice(at + 1, end);
  if (!isHarmless(value) && !(isVariable && !(isAuth && /["']/.test(value)))) marks.hide(at + 1, end);
}

/** Marks x of `define("DB_PASSWORD", "x")` and `os.environ.setdefault("TOKEN", "x")`. */
function markNamedArgument(marks: Marks, at: number, classify: Classify): void {
  marks.spend(MAX_NAME);
  const found = NAME_ARGUMENT.exec(marks.text.slice(at, at + MAX_NAME));
  if (!found || classify(found[1] as string) !== "strong") return;
  const start = at + found[0].length;
  if (!isHarmless(marks.text.slice(start, marks.valueEnd(start, "")))) marks.hideValue(start, "");
}

/** Marks x of `CURLOPT_USERPWD, "user:x"`. */
export function markCurlOption(marks: Marks): void {
  const at = marks.text.indexOf("USERPWD");
  if (at < 0) return;
  const user = /^USERPWD["']?\s?(?:,|=>)\s?["'][^\s"':]{1,64}:/.exec(marks.text.slice(at, at + MAX_NAME))?.[0];
  if (user && marks.text[at + user.length] !== "$") marks.hideValue(at + user.length, "\"'");
}

/** Marks the key of `jwt.encode({…}, "x")`. */
function markSigningKey(marks: Marks, at: number): void {
  marks.spend(MAX_OBJECT);
  const text = marks.text.slice(at, at + MAX_OBJECT);
  const key = /\},\s?(?=["'])/.exec(text);
  if (key) marks.hideValue(at + key.index + key[0].length, ",)");
}

/** Marks the argument at a position of a call where it is quoted. A number, such as a port, has no position. */
function markArgument(marks: Marks, from: number, position: number): void {
  let start = from;
  let at = 0;
  for (let count = 0; at < position && count < MAX_ARGUMENTS; count++) {
    const end = marks.valueEnd(start, ",)");
    if (marks.text[end] !== ",") return;
    if (!/^\d+$/.test(marks.text.slice(start, end))) at++;
    start = end + 1 + spacesAt(marks.text, end + 1);
  }
  if (at < position) return;
  if (marks.text[start] === "b") start++;
  if (marks.quoteAt(start) !== "") marks.hideValue(start, ",)");
}
