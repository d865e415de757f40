// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of redaction.

import { section, textList } from "./setting.ts";

const MAX_PATTERN_LENGTH = 200;

function findPatternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) return `is longer than ${MAX_PATTERN_LENGTH} characters`;
  try {
    // The flags with which redaction uses it.
    if (new RegExp(pattern, "gi").test("")) return "matches the empty text, so it would match everywhere";
    return undefined;
  } catch (error) {
    // V8 repeats the pattern, which may hold a secret, in all but the last part of its message.
    const reason = String(error).split(": ").at(-1);
    return `is not a regular expression: ${reason}`;
  }
}

function findNameFault(name: string): string | undefined {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(name)
    ? undefined
    : "is not a plain name (1 to 64 letters, digits, '_', '.' or '-'; for anything else use redaction.patterns)";
}

export const redaction = section("Redaction of command lines, in addition to the built-in rules.", {
  patterns: textList({
    about: "Regular expressions (JavaScript, case ignored); what one matches is hidden.",
    expects: "a list of regular expressions",
    maxItems: 100,
    sensitive: true,
    fault: findPatternFault,
  }),
  names: textList({
    about: "Names of options and keys that have a secret as value: `pin` hides `--pin 1234` and `pin=1234`.",
    expects: "a list of names",
    maxItems: 100,
    fault: findNameFault,
  }),
});
