// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { LineSplitter } from "../../../src/lib/line-splitter.ts";

function split(chunks: string[], maxBytes = 8): string[] {
  const split: string[] = [];
  const splitter = new LineSplitter(maxBytes, {
    onLine: (line, number) => split.push(`${number} ${line.toString()}`),
    onTooLong: (number) => split.push(`${number} TOO LONG`),
  });
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.finish();
  return split;
}

it.each<[string, string[], string[]]>([
  ["nothing", [], []],
  ["an empty chunk", [""], []],
  ["one line", ["a\n"], ["1 a"]],
  ["a last line without its end", ["a\nb"], ["1 a", "2 b"]],
  ["empty lines, which count", ["\n\na\n\n"], ["1 ", "2 ", "3 a", "4 "]],
  ["a carriage return, which stays", ["a\r\nb"], ["1 a\r", "2 b"]],
  ["a line in many chunks", ["a", "b", "", "c\nd", "e\n"], ["1 abc", "2 de"]],
  ["an end in a chunk of its own", ["abc", "\n", "d"], ["1 abc", "2 d"]],
  ["a line of just the limit", ["12345678\n"], ["1 12345678"]],
  ["a line of just the limit in chunks", ["1234", "5678", "\n9"], ["1 12345678", "2 9"]],
  ["a line beyond it", ["123456789\na\n"], ["1 TOO LONG", "2 a"]],
  ["a line beyond it in chunks", ["a\n1234", "56789", "0", "12\nb\n"], ["1 a", "2 TOO LONG", "3 b"]],
  ["a line beyond it by the chunk that ends it", ["12345678", "9\nb"], ["1 TOO LONG", "2 b"]],
  ["a last line beyond it", ["a\n123456789"], ["1 a", "2 TOO LONG"]],
  ["two of them", ["123456789\n123456789\na"], ["1 TOO LONG", "2 TOO LONG", "3 a"]],
])("cuts %s", (_, chunks, expected) => {
  expect(split(chunks)).toEqual(expected);
});

it("holds nothing of a line beyond the limit, however long it is", () => {
  const split: string[] = [];
  const splitter = new LineSplitter(1024, {
    onLine: (line, number) => split.push(`${number} ${line.toString()}`),
    onTooLong: (number) => split.push(`${number} TOO LONG`),
  });
  // 1 GiB in all: the half of it could not hide.
  let mostBytes = 0;
  for (let i = 0; i < 64; i++) {
    splitter.push(Buffer.alloc(16 * 1024 * 1024, "x"));
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
  }
  splitter.push(Buffer.from("\nnext\n"));
  expect(split).toEqual(["1 TOO LONG", "2 next"]);
  expect(mostBytes).toBeLessThan(512 * 1024 * 1024);
});
