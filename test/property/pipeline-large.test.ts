// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Large reports that are deleted, or lose their namespace: their violations are forgotten in steps, and no count is lost.

import { afterEach, expect, it, vi } from "vitest";
import { WorkloadShare } from "../../src/aggregate/entries/workload-share.ts";
import { alert, formatTimeAt, toLetters } from "../support/gen.ts";
import { findProblems, type Simulation, startSimulation } from "./pipeline-simulation.ts";

const HELD = 2000;
const KEY = "shop/no-package-managers";

afterEach(() => vi.restoreAllMocks());

/** Digits would be folded away. */
function newFile(i: number, ms = i) {
  return alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, UpdatedTime: formatTimeAt(ms) });
}

/** A report with many violations, all of them written. */
async function startLarge(): Promise<Simulation> {
  const s = await startSimulation();
  for (let i = 0; i < HELD; i++) s.send(newFile(i));
  await s.clock.advance(60_000);
  expect(s.store.get(KEY)?.summary.violations).toBe(HELD);
  return s;
}

/** Returns a function that gives the most violations that were removed within one turn. */
function watchRemovals(s: Simulation): () => number {
  const removals = vi.spyOn(WorkloadShare.prototype, "remove");
  let before = 0;
  let most = 0;
  const look = () => {
    most = Math.max(most, removals.mock.calls.length - before);
    before = removals.mock.calls.length;
    return most;
  };
  vi.spyOn(s.clock, "turn").mockImplementation(() => {
    look();
    // What is read meanwhile is counted once, also where it was forgotten a moment ago.
    if (added < 5) s.send(newFile(added, 60_000), newFile(HELD + added++, 60_000));
    return Promise.resolve();
  });
  let added = 0;
  return look;
}

it("a report that a person deletes begins again from zero", async () => {
  const s = await startLarge();
  const most = watchRemovals(s);
  s.store.removeAsUser(KEY);
  s.send(newFile(0, 60_001));
  await s.clock.advance(60_000);
  expect(most()).toBeLessThanOrEqual(300);
  const report = s.store.get(KEY);
  expect(report?.summary).toMatchObject({ occurrences: 11, violations: 10 });
  expect(report?.coverage.recent).toMatchObject([{ kind: "Deleted", count: HELD }]);
  expect(findProblems(s)).toEqual([]);
});

it("a report of a deleted namespace leaves its new counts to the cluster report", async () => {
  const s = await startLarge();
  const most = watchRemovals(s);
  s.store.goneNamespaces.add("shop");
  s.store.removeAsUser(KEY);
  s.send(newFile(0, 60_001));
  await s.clock.advance(60_000);
  expect(most()).toBeLessThanOrEqual(300);
  expect(s.store.reports.map(({ summary }) => summary)).toMatchObject([{ occurrences: 11, violations: 10 }]);
  expect(findProblems(s)).toEqual([]);
});
