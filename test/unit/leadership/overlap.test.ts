// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Overlap } from "../../../src/leadership/overlap.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { alert, formatTimeAt, toLetters, violation } from "../../support/gen.ts";
import { createAggregator } from "../ingest/fold-alerts.ts";

const HELD = 9000;
/** Of one step. */
const MOST = 2000;

it("adds what a standby held in steps, over many reports and in one", async () => {
  const aggregator = createAggregator();
  const turns: number[] = [];
  const turn = async () => void turns.push(aggregator.stats.unwritten);
  const options = { maxPodsPerViolation: 10, overlapMs: 1000 };
  const overlap = new Overlap(options, {
    aggregator,
    clock: { ...systemClock, turn },
    onMissing: () => {},
    onElapsed: () => {},
  });
  const list = (policyName: string, count: number) => ({
    namespace: "shop",
    policyName,
    alerts: Array.from({ length: count }, (_, i) =>
      violation(alert({ PolicyName: policyName, UpdatedTime: formatTimeAt(i) })),
    ),
    balance: 0,
  });
  const small = Array.from({ length: 30 }, (_, i) => list(`p-${toLetters(i)}`, 100));
  await overlap.addHeld([list("large", HELD - 3000), ...small]);
  expect(aggregator.stats.unwritten).toBe(HELD);
  const steps = [...turns, HELD].map((added, i) => added - (turns[i - 1] ?? 0));
  expect(Math.max(...steps)).toBeLessThanOrEqual(MOST);
});
