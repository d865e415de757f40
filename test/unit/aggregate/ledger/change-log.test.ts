// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import type { ViolationRow } from "../../../../src/aggregate/entries/change-rows.ts";
import { drainChanges } from "../../../../src/aggregate/journal-changes.ts";
import { ChangeLog } from "../../../../src/aggregate/ledger/change-log.ts";
import { Ledger } from "../../../../src/aggregate/ledger/ledger.ts";
import { alert, formatTimeAt, violation } from "../../../support/gen.ts";

function add(ledger: Ledger, ms: number, pid: number): void {
  ledger.add(violation(alert({ UpdatedTime: formatTimeAt(ms), PID: pid })), true);
}

function drainRows(ledger: Ledger): ViolationRow[] {
  return drainChanges(ledger, 1000)?.layers.flatMap(({ violations }) => violations) ?? [];
}

/** Of the one violation: its count, and the process in its evidence. */
function drainCounts(ledger: Ledger): [occurrences: number, pid: number | undefined][] {
  return drainRows(ledger).map(({ occurrences, evidence }) => [occurrences, evidence?.pid]);
}

it("counts are listed each time, evidence first and then when it is ten seconds newer", () => {
  const ledger = new Ledger("shop", "p", { log: new ChangeLog() });
  add(ledger, 0, 1);
  expect(drainCounts(ledger)).toEqual([[1, 1]]);
  add(ledger, 4000, 2);
  add(ledger, 9000, 3);
  expect(drainCounts(ledger)).toEqual([[3, undefined]]);
  add(ledger, 10_000, 4);
  expect(drainCounts(ledger)).toEqual([[4, 4]]);
  add(ledger, 19_999, 5);
  expect(drainCounts(ledger)).toEqual([[5, undefined]]);
});

it("evidence is in the first row of each set, and again for an empty journal", () => {
  const ledger = new Ledger("shop", "p", { log: new ChangeLog() });
  add(ledger, 0, 1);
  expect(drainCounts(ledger)).toEqual([[1, 1]]);
  ledger.write.take();
  add(ledger, 1000, 2);
  // The set in flight has nothing new.
  expect(drainCounts(ledger)).toEqual([[1, 2]]);
  ledger.sets.resetLog();
  expect(drainCounts(ledger)).toEqual([
    [1, 1],
    [1, 2],
  ]);
});
