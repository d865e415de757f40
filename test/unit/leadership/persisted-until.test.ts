// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { PersistedUntil } from "../../../src/leadership/persisted-until.ts";
import { runAtOnce, type Steps } from "../../../src/lib/pacing/steps.ts";
import { alert, MEMORY, START_US, violation } from "../../support/gen.ts";

it("is not after a gap that a report gets in a later step", () => {
  const running: Steps[] = [];
  const aggregator = new Aggregator(MEMORY, () => {}, undefined, { run: (steps) => running.push(steps) });
  aggregator.add(violation(alert()));
  for (const { write } of aggregator.ledgers.values()) {
    write.take();
    write.commit();
  }
  let nowMs = 1000;
  const until = new PersistedUntil({ nowMs: () => nowMs, monotonicMs: () => nowMs });
  until.begin(nowMs);
  expect(until.findEpochMs(aggregator.ledgers)).toBe(1000);
  aggregator.gaps.addGap("StreamDown", START_US);
  nowMs = 2000;
  expect(until.findEpochMs(aggregator.ledgers)).toBe(1000);
  for (const steps of running) runAtOnce(steps);
  expect(until.findEpochMs(aggregator.ledgers)).toBe(1000);
});
