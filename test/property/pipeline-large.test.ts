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

/** Returns a function that gives the most violations that were weighed or removed within one turn since the call. */
function watchWork(s: Simulation): () => number {
  const spies = (["weigh", "remove"] as const).map((name) => vi.spyOn(WorkloadShare.prototype, name));
  const count = () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  let before = count();
  let most = 0;
  let added = 0;
  const look = () => {
    most = Math.max(most, count() - before);
    before = count();
    return most;
  };
  vi.spyOn(s.clock, "turn").mockImplementation(() => {
    look();
    // Alerts that are read meanwhile are counted once, also of a ledger that was forgotten a moment ago.
    if (added < 5) s.send(newFile(added, 60_000), newFile(HELD + added++, 60_000));
    before = count();
    return Promise.resolve();
  });
  return look;
}

/** Counts every violation of the report once more, and has the report deleted before they are written. */
function changeAll(s: Simulation): void {
  for (let i = 0; i < HELD; i++) s.send(newFile(i, 59_000 + i / 10));
  s.store.removeAsUser(KEY);
}

it("a report that a person deletes begins again from zero", async () => {
  const s = await startLarge();
  const most = watchWork(s);
  s.store.removeAsUser(KEY);
  await s.sendAndWait(60_000, newFile(0, 60_001));
  expect(most()).toBeLessThanOrEqual(300);
  const report = s.store.get(KEY);
  expect(report?.summary).toMatchObject({ occurrences: 11, violations: 10 });
  expect(report?.coverage.recent).toMatchObject([{ kind: "Deleted", count: HELD }]);
  expect(findProblems(s)).toEqual([]);
});

it("a report of a deleted namespace leaves its new counts to the cluster report", async () => {
  const s = await startLarge();
  const most = watchWork(s);
  s.store.goneNamespaces.add("shop");
  s.store.removeAsUser(KEY);
  await s.sendAndWait(60_000, newFile(0, 60_001));
  expect(most()).toBeLessThanOrEqual(300);
  expect(s.store.reports.map(({ summary }) => summary)).toMatchObject([{ occurrences: 11, violations: 10 }]);
  expect(findProblems(s)).toEqual([]);
});

it("a deleted report with as many counts in no report begins again with these", async () => {
  const s = await startLarge();
  changeAll(s);
  const most = watchWork(s);
  await s.clock.advance(60_000);
  expect(most()).toBeLessThanOrEqual(600);
  const report = s.store.get(KEY);
  expect(report?.summary).toMatchObject({ occurrences: HELD + 10, violations: HELD + 5, pods: 1 });
  expect(report?.coverage.recent).toMatchObject([{ kind: "Deleted", count: HELD }]);
  expect(report?.violations.every(({ lowerBound }) => !lowerBound)).toBe(true);
  expect(findProblems(s)).toEqual([]);
});

it("a deleted namespace leaves as many counts in no report to the cluster report", async () => {
  const s = await startLarge();
  s.store.goneNamespaces.add("shop");
  changeAll(s);
  const most = watchWork(s);
  await s.clock.advance(60_000);
  expect(most()).toBeLessThanOrEqual(600);
  expect(s.store.reports.map(({ summary }) => summary)).toMatchObject([
    { occurrences: HELD + 10, violations: HELD + 5 },
  ]);
  expect(findProblems(s)).toEqual([]);
});
