// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The splitter against String.split, for any text in any chunks.

import fc from "fast-check";
import { expect, it } from "vitest";
import { LineSplitter } from "../../src/lib/line-splitter.ts";
import { checkAll } from "../support/gen.ts";

it("gives the lines of a text however it is cut, and no line beyond the limit", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n", "\n"), maxLength: 60 });
  const limit = fc.integer({ min: 1, max: 12 });
  checkAll(100, [text, fc.array(fc.nat(60)), limit], (whole, cuts, maxBytes) => {
    const split: (string | number)[] = [];
    const splitter = new LineSplitter(maxBytes, {
      onLine: (line, number) => {
        expect(number).toBe(split.length + 1);
        split.push(line.toString());
      },
      onTooLong: (number) => split.push(number),
    });
    const places = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
    for (const [index, place] of places.entries()) {
      splitter.push(Buffer.from(whole.slice(place, places[index + 1] ?? whole.length)));
    }
    splitter.finish();
    const lines = whole.split("\n");
    if (lines.at(-1) === "") lines.pop();
    expect(split).toEqual(lines.map((line, index) => (line.length > maxBytes ? index + 1 : line)));
  });
});
