// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rememberClean } from "../../../../src/ingest/evidence/clean-texts.ts";
import { createRedactor, type Redact } from "../../../../src/ingest/evidence/redact.ts";
import { generateHostileText } from "../../../support/alert-generators.ts";
import { checkAll } from "../../../support/gen.ts";

/** Counts the searches. */
function createCounted(): { redact: Redact; searched: string[] } {
  const [redact, searched] = [createRedactor({ patterns: ["custom-\\d+"] }), [] as string[]];
  return {
    searched,
    redact: (text, budget) => {
      searched.push(text);
      return redact(text, budget);
    },
  };
}

const SECRET = "app --password=hunter2";

describe("a text without a secret", () => {
  it("is searched once, one with a secret each time", () => {
    const { redact, searched } = createCounted();
    const remembering = rememberClean(redact);
    for (let i = 0; i < 3; i++) {
      expect(remembering("ls -l /tmp", { steps: 1000 })).toBe("ls -l /tmp");
      expect(remembering(SECRET, { steps: 1000 })).not.toContain("hunter2");
    }
    expect(searched).toEqual(["ls -l /tmp", SECRET, SECRET, SECRET]);
  });

  it("is searched again after thousands of others", () => {
    const { redact, searched } = createCounted();
    const remembering = rememberClean(redact);
    for (let i = 0; i < 10_000; i++) remembering(`ls /tmp/${i}`, { steps: 1000 });
    remembering("ls /tmp/0", { steps: 1000 });
    expect(searched).toHaveLength(10_001);
  });
});

it("gives the results and takes the steps of a new search, with any budget", () => {
  const redact = createRedactor({ patterns: ["custom-\\d+"] });
  const text = fc.oneof(
    generateHostileText(),
    fc.constantFrom("ls -l /tmp", "/usr/bin/curl -s http://a/b", SECRET, "run custom-12", "x ".repeat(200)),
  );
  const budgets = fc.array(fc.integer({ min: -5, max: 3000 }), { minLength: 1, maxLength: 6 });
  checkAll(500, [fc.array(text, { maxLength: 6 }), budgets], (texts, all) => {
    const remembering = rememberClean(redact);
    for (const steps of all) {
      const [plain, other] = [{ steps }, { steps }];
      for (const each of texts) {
        expect(remembering(each, other)).toBe(redact(each, plain));
        expect(other).toEqual(plain);
      }
    }
  });
});
