// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { toPrintable } from "../../../../src/alerts/decoding/printable.ts";

it.each([
  ["connection refused", "connection refused"],
  ["", ""],
  ["a\r\n\tb\u001b[31mred\u0000", "a b [31mred"],
  ["a\u2028b\u009bc\u202ed", "a b c d"],
  ["Grüße 😀", "Grüße 😀"],
  ["a\ud800b", "a\ufffdb"],
  ["x".repeat(20), "x".repeat(20)],
  ["x".repeat(21), `${"x".repeat(19)}…`],
  ["x".repeat(1_000_000), `${"x".repeat(19)}…`],
  [`${"x".repeat(18)}😀x`, `${"x".repeat(18)}\ufffd…`],
])("makes %j fit for a line", (text, expected) => {
  expect(toPrintable(text, 20)).toBe(expected);
});
