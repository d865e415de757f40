// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps, rejections and the state of the stream reach every report in steps, and no report less than at once.

import * as fc from "fast-check";
import { expect, it, vi } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../../src/aggregate/counts/set-numbers.ts";
import { drainChanges } from "../../../../src/aggregate/journal-changes.ts";
import { OpenGaps } from "../../../../src/aggregate/ledger/open-gaps.ts";
import { reportKey } from "../../../../src/ingest/violation/violation.ts";
import { runAtOnce, type Steps } from "../../../../src/lib/pacing/steps.ts";
import { alert, checkAll, MEMORY, START_US, toLetters, violation } from "../../../support/gen.ts";
import { persist } from "../../ingest/fold-alerts.ts";

const REPORTS = 2500;
const PER_STEP = 1024;

/** Steps are run by `step`. */
function setUp(reports: number) {
  const running: Steps[] = [];
  const dirty = new Set<string>();
  const run = (steps: Steps) => {
    if (!steps.next().done) running.push(steps);
  };
  const aggregator = new Aggregator(MEMORY, (key) => dirty.add(key), { numbers: new SetNumbers() }, { run });
  const count = (i: number) => {
    const namespace = `ns-${toLetters(i)}`;
    aggregator.add(violation(alert({ NamespaceName: namespace, OwnerNamespace: namespace })));
    return reportKey(namespace, [...aggregator.ledgers.values()].at(-1)?.policyName ?? "");
  };
  const keys = Array.from({ length: reports }, (_, i) => count(i));
  const write = (key: string) => {
    const ledger = aggregator.ledgers.get(key);
    if (ledger) persist(ledger);
  };
  const step = () => {
    const steps = running[0];
    if (steps?.next().done) running.shift();
    return steps !== undefined;
  };
  return { aggregator, dirty, keys, count, write, step };
}

it.each<[string, (aggregator: Aggregator) => void, "addGap" | "endGap" | "addMissing"]>([
  ["begins", ({ gaps }) => gaps.addGap("StreamDown", START_US), "addGap"],
  ["ends", ({ gaps }) => gaps.endGap("StreamDown", START_US, START_US + 1), "endGap"],
  [
    "could be any report's and was rejected",
    ({ gaps }) => {
      gaps.addRejected(undefined, START_US);
      gaps.reportRejections();
    },
    "addMissing",
  ],
])("what %s visits a bounded number of reports in a step", (_what, act, method) => {
  const { aggregator, step } = setUp(REPORTS);
  const visits = vi.spyOn(OpenGaps.prototype, method);
  act(aggregator);
  const ofSteps = [visits.mock.calls.length];
  while (step()) ofSteps.push(visits.mock.calls.length - ofSteps.reduce((sum, each) => sum + each, 0));
  expect(ofSteps).toEqual([PER_STEP, PER_STEP, REPORTS - 2 * PER_STEP]);
  visits.mockRestore();
});

it("a report that is written, or journaled, before its turn has the gap, and has it once", () => {
  const { aggregator, dirty, keys, write, step } = setUp(REPORTS);
  for (const key of keys) write(key);
  dirty.clear();
  aggregator.gaps.addGap("StreamDown", START_US);
  const [written = "", journaled = ""] = keys.slice(-2);
  write(written);
  const row = drainChanges(aggregator.ledgers.get(journaled) as never, 10);
  expect(row?.layers.at(-1)?.totals.gaps).toBe(1);
  expect(aggregator.ledgers.get(written)?.counts.committed.gaps).toBe(1);
  while (step());
  expect([...aggregator.ledgers.values()].every(({ counts }) => counts.all.gaps === 1)).toBe(true);
  expect(dirty.size).toBe(REPORTS);
});

it("a report that begins after the gap does not have it, and one that a shutdown flushes does", () => {
  const { aggregator, keys, count } = setUp(REPORTS);
  aggregator.gaps.addGap("StreamDown", START_US);
  const later = count(REPORTS);
  aggregator.gaps.addLackingToAll();
  expect(aggregator.ledgers.get(later)?.counts.all.gaps).toBe(0);
  expect(aggregator.ledgers.get(keys.at(-1) ?? "")?.counts.all.gaps).toBe(1);
});

it("what is declared while counts of a gone namespace move is in the cluster report once", () => {
  const { aggregator, keys, step } = setUp(REPORTS);
  const key = keys.at(-1) ?? "";
  const namespace = aggregator.ledgers.get(key)?.namespace ?? "";
  for (let i = 0; i < 100; i++) {
    const resource = { Operation: "File", Resource: `/x/${toLetters(i)}` };
    aggregator.add(violation(alert({ NamespaceName: namespace, OwnerNamespace: namespace, ...resource })));
  }
  const moving = aggregator.moveToCluster(key);
  moving.next();
  aggregator.gaps.addGap("StreamDown", START_US);
  aggregator.gaps.addRejected(undefined, START_US);
  aggregator.gaps.reportRejections();
  runAtOnce(moving);
  while (step());
  const all = [...aggregator.ledgers.values()].at(-1)?.counts.all;
  expect(all).toMatchObject({ occurrences: 101, gaps: 1, rejected: 1 });
});

it("any order of declarations, steps, writes and moves ends as without steps", () => {
  const action = fc.record({
    kind: fc.constantFrom("begin", "end", "stall", "reject", "rejectOne", "touch", "step", "write", "move", "count"),
    at: fc.nat(REPORTS + 5),
    us: fc.nat(3),
  });
  const actions = fc.array(action, { minLength: 5, maxLength: 25 });
  checkAll(6, [actions], (list) => {
    const inSteps = setUp(REPORTS);
    const atOnce = setUp(REPORTS);
    for (const { kind, at, us } of list) {
      for (const { aggregator, keys, count, write, step } of [inSteps, atOnce]) {
        const { gaps } = aggregator;
        // Most are near the end, where steps come last.
        const key = keys[(REPORTS - 1 - (at % 50)) % REPORTS] ?? "";
        if (kind === "begin") gaps.addGap("StreamDown", START_US + us);
        if (kind === "end") gaps.endGap("StreamDown", START_US + us, START_US + 9);
        if (kind === "stall") gaps.addGap("Stalled", START_US + us, START_US + 7);
        if (kind === "reject") gaps.addRejected(undefined, START_US + us);
        if (kind === "rejectOne") gaps.addRejected({ namespace: `ns-${toLetters(at)}` }, START_US + us);
        if (kind.startsWith("reject")) gaps.reportRejections();
        if (kind === "touch") gaps.late.touchAll();
        if (kind === "write") write(key);
        if (kind === "move") runAtOnce(aggregator.moveToCluster(key));
        if (kind === "count") count(REPORTS + at);
        if (kind === "step") step();
      }
      // The reference has no step that waits.
      while (atOnce.step());
    }
    while (inSteps.step());
    const states = [inSteps, atOnce].map(({ aggregator, dirty }) => [
      [...aggregator.ledgers].map(([key, { counts }]) => [
        key,
        counts.all.gaps,
        counts.all.rejected,
        counts.all.coverageGaps,
      ]),
      dirty,
    ]);
    expect(states[0]).toEqual(states[1]);
  });
});
