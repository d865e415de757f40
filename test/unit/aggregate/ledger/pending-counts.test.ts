// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts that stay in cells until a write takes them: what totals and the journal show of them meanwhile.

import { expect, it, vi } from "vitest";
import type { ViolationRow } from "../../../../src/aggregate/entries/change-rows.ts";
import { drainChanges, revertDrain } from "../../../../src/aggregate/journal-changes.ts";
import type { Ledger } from "../../../../src/aggregate/ledger/ledger.ts";
import { formatTimeAt } from "../../../support/gen.ts";
import { createBed } from "../../ingest/cell-bed.ts";
import { renderReports } from "../../ingest/fold-alerts.ts";

const FILE = { Operation: "File", Resource: "/etc/shadow" };
const OTHER_POD = { PodName: "web-2" };

function drainRows(ledger: Ledger): ViolationRow[] {
  return drainChanges(ledger, 1000)?.layers.flatMap(({ violations }) => violations) ?? [];
}

function getLedger({ aggregator }: ReturnType<typeof createBed>): Ledger {
  const [ledger] = aggregator.ledgers.values();
  if (!ledger) throw new Error("no alert was counted");
  return ledger;
}

it("totals and journal read counts where they are; only a write takes them", () => {
  const bed = createBed({ maxCells: 1000, maxBytes: 10_000_000 });
  const takes = vi.spyOn(bed.cells, "take");
  for (let batch = 1; batch <= 10; batch++) {
    for (let i = 0; i < 50; i++)
      bed.send({ PodName: `web-${i}`, OwnerName: `web-${i}`, UpdatedTime: formatTimeAt(batch) });
    const ledger = getLedger(bed);
    expect(ledger.counts.unwritten).toBe(50 * batch);
    const rows = drainRows(ledger);
    expect(rows.map(({ occurrences, pods }) => [occurrences, pods[0]?.occurrences])).toEqual(
      Array(50).fill([batch, batch]),
    );
    expect(rows.filter(({ evidence }) => evidence).length).toBe(batch === 1 ? 50 : 0);
  }
  expect(takes.mock.calls.length).toBe(0);
  const [report] = renderReports(bed.aggregator);
  expect(takes.mock.calls.length).toBe(50);
  expect([report?.summary.occurrences, report?.violations.length]).toEqual([500, 50]);
  expect(drainRows(getLedger(bed))).toEqual([]);
});

it("the cells of two pods are one row, and nothing is counted twice", () => {
  const bed = createBed();
  bed.send(FILE, { UpdatedTime: formatTimeAt(1) });
  bed.send(FILE, { UpdatedTime: formatTimeAt(2) });
  expect(drainRows(getLedger(bed)).map(({ occurrences }) => occurrences)).toEqual([2]);
  bed.send(FILE, OTHER_POD, { UpdatedTime: formatTimeAt(3) });
  bed.send(FILE, { UpdatedTime: formatTimeAt(4) });
  const [row] = drainRows(getLedger(bed));
  expect(row?.occurrences).toBe(4);
  expect(row?.pods.map(({ occurrences }) => occurrences).sort()).toEqual([1, 3]);
  expect(getLedger(bed).counts.unwritten).toBe(4);
  expect(renderReports(bed.aggregator)[0]?.summary).toMatchObject({ occurrences: 4, pods: 2 });
});

it("rows that a journal could not take are read again, with their evidence", () => {
  const bed = createBed();
  bed.send(FILE, { UpdatedTime: formatTimeAt(1), PID: 7 });
  const ledger = getLedger(bed);
  const change = drainChanges(ledger, 1000);
  expect(change).toBeDefined();
  if (change) revertDrain(ledger, change);
  bed.send(FILE, { UpdatedTime: formatTimeAt(2), PID: 8 });
  expect(drainRows(ledger).map(({ occurrences, evidence }) => [occurrences, evidence?.pid])).toEqual([[2, 8]]);
  expect(ledger.counts.unwritten).toBe(2);
});

it("the journal gets no evidence where the stored report has some of the last minute", () => {
  const bed = createBed();
  bed.send(FILE, { UpdatedTime: formatTimeAt(0), PID: 1 });
  renderReports(bed.aggregator);
  const ledger = getLedger(bed);
  drainRows(ledger);
  bed.send(FILE, { UpdatedTime: formatTimeAt(59_000), PID: 2 });
  bed.send(FILE, OTHER_POD, { UpdatedTime: formatTimeAt(59_500), PID: 3 });
  expect(drainRows(ledger).map(({ occurrences, evidence }) => [occurrences, evidence])).toEqual([[2, undefined]]);
  bed.send(FILE, { UpdatedTime: formatTimeAt(61_000), PID: 4 });
  expect(drainRows(ledger).map(({ occurrences, evidence }) => [occurrences, evidence?.pid])).toEqual([[3, 4]]);
});

it("retention keeps a violation with counts in a cell", () => {
  const bed = createBed();
  bed.send(FILE, { UpdatedTime: formatTimeAt(0) });
  const ledger = getLedger(bed);
  renderReports(bed.aggregator);
  bed.send(FILE, { UpdatedTime: formatTimeAt(1) });
  const sweep = ledger.expire(Number.MAX_SAFE_INTEGER);
  let step = sweep.next();
  while (!step.done) step = sweep.next();
  expect([step.value, ledger.entries.size, ledger.counts.unwritten]).toEqual([0, 1, 1]);
});
