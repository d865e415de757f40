// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The script of the anomaly loop with faults at random calls, many at a time.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Fault } from "../support/fault-sink.ts";
import { checkAllAsync } from "../support/gen.ts";
import { type ClockStep, findProblems, runScript, Simulation } from "./pipeline-simulation.ts";

const COMMON = ["foreign_labels", "too_large", "unknown_before", "retry_before", "refused"] as const;

// A write that was stored unseen, and whose object is then deleted, leaves no trace: no writer can know, so these two kinds
// of trouble are tried apart.
const FAMILIES: readonly (readonly [string, readonly Fault[]])[] = [
  [
    "writes that land unseen, and other writers on top of them",
    [...COMMON, "unknown_after", "retry_after", "foreign_counts"],
  ],
  ["people and other writers", [...COMMON, "foreign_counts", "user_deletes", "namespace_gone"]],
];

const DAY_MS = 86_400_000;

/** The wall clock is set up to three times, back or ahead, by seconds or days. */
const STEPS = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 64_000 }),
    fc.oneof(fc.integer({ min: -60_000, max: 60_000 }), fc.integer({ min: -40 * DAY_MS, max: 40 * DAY_MS })),
  ),
  { maxLength: 3 },
) satisfies fc.Arbitrary<ClockStep[]>;

describe("faults at random calls", () => {
  it.each(FAMILIES)("of %s lose nothing and count nothing twice", async (_name, faults) => {
    const plan = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom(...faults)), {
      minLength: 2,
      maxLength: 20,
    });
    await checkAllAsync(150, [plan, STEPS], async (at, steps) => {
      const simulation = new Simulation({ faults: new Map(at) });
      await runScript(simulation, steps);
      expect(findProblems(simulation)).toEqual([]);
      expect(simulation.pipeline.aggregator.stats.unwritten).toBe(0);
    });
  });
});
