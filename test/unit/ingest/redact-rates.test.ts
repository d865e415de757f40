// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Share of secrets that reach a report, and of ordinary lines that are changed: measured, not promised.

import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/ingest/redact.ts";
import { ORDINARY_LINES as ORDINARY_1 } from "./ordinary-lines-1.ts";
import { ORDINARY_LINES as ORDINARY_2 } from "./ordinary-lines-2.ts";
import { ORDINARY_LINES as ORDINARY_3 } from "./ordinary-lines-3.ts";
import { ORDINARY_LINES as ORDINARY_4 } from "./ordinary-lines-4.ts";
import { SECRET_FORMS as FORMS_1 } from "./secret-forms-1.ts";
import { SECRET_FORMS as FORMS_2A } from "./secret-forms-2.ts";
import { SECRET_FORMS as FORMS_2B } from "./secret-forms-2b.ts";
import { SECRET_LINES, SECRET_PARTS } from "./secret-forms-3.ts";
import { SECRET_WORDS, WORD_LINES as WORDS_1 } from "./secret-forms-4.ts";
import { WORD_LINES as WORDS_2 } from "./secret-forms-4b.ts";
import { WORD_LINES as WORDS_3 } from "./secret-forms-5.ts";

const redact = createRedactor();
const FORMS_2 = [...FORMS_2A, ...FORMS_2B];

/** Forms of which the secret is left; the bounds are what was measured. */
describe("of the forms of secrets", () => {
  it.each([
    ["the first list", FORMS_1, 0],
    ["the list from manuals", FORMS_2, 3],
  ])("in %s few are left", (_what, forms, atMost) => {
    const left = forms.filter(([line, secret]) => redact(line).includes(secret));
    expect(left.length, left.map(([line]) => line).join("\n")).toBeLessThanOrEqual(atMost);
  });

  it("in the list of rarer tools few are left", () => {
    const left = SECRET_LINES.filter((line) => SECRET_PARTS.some((part) => redact(line).includes(part)));
    expect(left.length, left.join("\n")).toBeLessThanOrEqual(8);
  });

  it.each([
    ["of common tools", WORDS_1, 0],
    ["of databases and rarer tools", WORDS_2, 4],
    ["written before they were tried", WORDS_3, 5],
  ])("in the list with words for secrets, %s, few are left", (_what, lines, atMost) => {
    const left = lines.filter((line) => SECRET_WORDS.some((part) => redact(line).includes(part)));
    expect(left.length, left.join("\n")).toBeLessThanOrEqual(atMost);
  });

  it("none changes when it is redacted again", () => {
    const lines = [...FORMS_1, ...FORMS_2]
      .map(([line]) => line)
      .concat(SECRET_LINES, WORDS_1, WORDS_2, WORDS_3);
    const changed = lines.filter((line) => redact(redact(line)) !== redact(line));
    expect(changed).toEqual([]);
  });
});

describe("of ordinary lines", () => {
  it.each([
    ["the first list", ORDINARY_1],
    ["the list from manuals", ORDINARY_2],
    ["the list of rarer tools", ORDINARY_3],
    ["the list of options like those of secrets", ORDINARY_4],
  ])("in %s none is changed", (_what, lines) => {
    const changed = lines.filter((line) => redact(line) !== line);
    expect(changed.map((line) => redact(line))).toEqual([]);
  });
});
