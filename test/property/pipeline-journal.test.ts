// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program is killed at every call to the store, in every way that matters, with a real journal: no count is lost and
// none is written twice. Then again and again, at random.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FAULTS, type Fault, KILLS } from "../support/fault-sink.ts";
import { checkAllAsync, PACE } from "../support/gen.ts";
import { findProblemsOfLives, type LivesOptions, runLives } from "./journal-lives.ts";

const SETTINGS: readonly (readonly [string, LivesOptions])[] = [
  ["the default settings", {}],
  ["a journal that is slower than the first write", { batchIntervalMs: 1000 }],
  ["no delay of the first write", { options: { pace: { ...PACE, firstWriteDelayMs: 0 } } }],
];

describe.each(SETTINGS)("killed once, with %s", (name, options) => {
  it.each(KILLS)("%s, at every call", async (how) => {
    let recovered = 0;
    let n = 1;
    for (; ; n++) {
      const outcome = await runLives([{ kill: n, how }], options);
      if (outcome.kills === 0) break;
      expect(findProblemsOfLives(outcome), `${how} at call ${n}`).toEqual([]);
      recovered += outcome.recovered;
    }
    expect(n).toBeGreaterThan(10);
    // Proof that the journal had something to give back.
    const isProtected = name === "the default settings";
    expect(recovered).toBeGreaterThan(how === "killed_after" || !isProtected ? 0 : 10);
  });
});

describe("killed again and again", () => {
  const FAULTS_OF_CALLS = FAULTS.filter((f) => !["user_deletes", "namespace_gone", "foreign_counts"].includes(f));

  it("at random calls, among random faults, loses nothing and counts nothing twice", async () => {
    const fault = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom<Fault>(...FAULTS_OF_CALLS));
    const plan = fc.record({
      kill: fc.integer({ min: 1, max: 12 }),
      how: fc.constantFrom(...KILLS),
      faults: fc.array(fault, { maxLength: 6 }).map((all) => new Map(all)),
    });
    await checkAllAsync(20, [fc.array(plan, { minLength: 1, maxLength: 6 })], async (plans) => {
      expect(findProblemsOfLives(await runLives(plans))).toEqual([]);
    });
  });
});
