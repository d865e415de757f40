// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets in SQL statements.

import { looksRandom, type Marks, unquote } from "./marks.ts";
import type { Classify } from "./names.ts";
import type { Word } from "./words.ts";

const MAX_STATEMENTS = 4;
const MAX_COLUMNS = 400;
const SQL_WORD = /^(?:password|values|externally|globally)$/i;

/** `IDENTIFIED BY 'x'`, `PASSWORD 'x'`. */
export function markSql(marks: Marks, words: readonly Word[], at: number): void {
  const { text } = words[at] as Word;
  if (!/^(?:by|password)$/i.test(text)) return;
  if (/^by$/i.test(text) && !isIdentified(words, at)) return;
  let next = words[at + 1];
  if (next && /^(?:values|as)$/i.test(next.text)) next = words[at + 2];
  if (!next) return;
  const isQuoted = marks.quoteAt(next.start) !== "";
  const end = marks.valueEnd(next.start, ";");
  const value = marks.text.slice(next.start, end);
  const isClosing = isQuoted && value.length < 3;
  if (!isQuoted && isStatement(words, at) && /^[\w$#!@%^&*+-]{4,}$/.test(value) && !SQL_WORD.test(value))
    marks.hide(next.start, end);
  else if (!isClosing && (isQuoted ? unquote(value).trim() !== "" : looksRandom(value))) marks.hide(next.start, end);
}

/** `IDENTIFIED BY`, `IDENTIFIED WITH plugin BY`. */
function isIdentified(words: readonly Word[], by: number): boolean {
  return [by - 1, by - 3].some((at) => /^identified$/i.test(words[at]?.text ?? ""));
}

/** `ALTER USER x IDENTIFIED BY word`, as Oracle has it without quotes. */
function isStatement(words: readonly Word[], by: number): boolean {
  const isUser = ({ text }: Word) => /^(?:user|role)$/i.test(text);
  return isIdentified(words, by) && words.slice(Math.max(0, by - 4), by - 1).some(isUser);
}

/** Marks the values of `INSERT INTO users (name, password) VALUES ('a', 'x')`, all of them. */
export function markInsert(marks: Marks, classify: Classify): void {
  let rest = marks.text.search(/insert into /i);
  if (rest < 0) return;
  marks.spend(marks.text.length);
  for (let count = 0; rest >= 0 && count < MAX_STATEMENTS; count++) {
    const statement = marks.text.slice(rest);
    const columns = /^insert into [^\s()]{1,100}\s?\(([^()]{1,300})\)\s?values\s?\(/i.exec(
      statement.slice(0, MAX_COLUMNS),
    );
    const end = statement.indexOf(")", columns?.[0].length ?? 0);
    const names = columns?.[1]?.split(/[\s,`"]+/) ?? [];
    if (columns && names.some((name) => classify(name) === "strong")) {
      marks.hide(rest + columns[0].length, end < 0 ? marks.text.length : rest + end);
    }
    const next = statement.slice(1).search(/insert into /i);
    rest = next < 0 ? -1 : rest + 1 + next;
  }
}
