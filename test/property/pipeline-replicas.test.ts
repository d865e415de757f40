// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas over several lives, with kills, takeovers, lost answers, late writes, eviction, set clocks and lost streams at once: no alert is
// reported twice, and a report that is short of one says so.

import { describe, expect, it } from "vitest";
import { LIMITS, listSeeds, MEMORY } from "../support/gen.ts";
import type { ChaosOptions } from "./replica-life.ts";
import { runReplicas } from "./replica-lives.ts";

const PLAIN: ChaosOptions = {
  faults: 0.15,
  journals: 0.5,
  files: 8,
  seconds: 150,
  maxAlerts: 10_000,
  limits: LIMITS,
  memory: MEMORY,
};

const SETTINGS: Readonly<Record<string, ChaosOptions>> = {
  "all violations listed": PLAIN,
  "a short list": { ...PLAIN, limits: { ...LIMITS, maxViolations: 6, maxPodsPerViolation: 2 } },
  eviction: { ...PLAIN, files: 60, memory: { ...MEMORY, maxViolations: 60, maxViolationsPerWorkload: 20 } },
  "everything at once": {
    ...PLAIN,
    files: 40,
    faults: 0.3,
    journals: 0.9,
    limits: { ...LIMITS, maxViolations: 8, maxPodsPerViolation: 2 },
    memory: { ...MEMORY, maxViolations: 50, maxViolationsPerWorkload: 15 },
  },
  "wall clocks that are set": {
    ...PLAIN,
    files: 60,
    journals: 0.7,
    memory: { ...MEMORY, maxViolations: 60, maxViolationsPerWorkload: 20 },
    maxClockErrorMs: 3_600_000,
  },
  "streams that break": { ...PLAIN, outages: 0.03 },
  "streams that break, and all else": {
    ...PLAIN,
    files: 40,
    journals: 0.9,
    memory: { ...MEMORY, maxViolations: 50, maxViolationsPerWorkload: 15 },
    maxClockErrorMs: 3_600_000,
    outages: 0.05,
  },
  "every second write fails": { ...PLAIN, faults: 0.5, files: 3, seconds: 250 },
};

describe.each(Object.entries(SETTINGS))("two replicas with %s", (_, options) => {
  it("report nothing twice and mark what they are short of", async () => {
    const wrong: string[] = [];
    for (const seed of listSeeds(3)) {
      const problems = await runReplicas(seed, options);
      if (problems.length > 0) wrong.push(`seed ${seed}: ${problems.join("; ")}`);
    }
    expect(wrong).toEqual([]);
  });
});
