// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Work of one step on a report with many violations: violations visited, not time.

import { afterEach, expect, it, vi } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { touchEarlyReports } from "../../../src/aggregate/early-entries.ts";
import { Entry } from "../../../src/aggregate/entries/entry.ts";
import { EntryMap } from "../../../src/aggregate/entries/entry-map.ts";
import { SubjectCounts } from "../../../src/aggregate/ledger/distinct-subjects.ts";
import type { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { recordEventUpdates } from "../../../src/events/event-updates.ts";
import type { Steps } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { renderInSteps, renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, MEMORY, renderOptions, throttleNotice, toLetters, violation } from "../../support/gen.ts";
import { add } from "../ingest/fold-alerts.ts";

const HELD = 6000;
/** Of one step: an entry is read a few times where it is visited once. */
const MOST = 6 * 1024;

afterEach(() => vi.restoreAllMocks());

/** Digits would be folded away. */
function fill(workloads: number): { aggregator: Aggregator; ledger: Ledger } {
  const aggregator = new Aggregator(MEMORY, () => {});
  for (let i = 0; i < HELD; i++) {
    const mods = { OwnerName: `w-${toLetters(i % workloads)}`, Operation: "File", Resource: `/x/${toLetters(i)}` };
    add(aggregator, alert({ ...mods, UpdatedTime: formatTimeAt(i) }));
  }
  return { aggregator, ledger: [...aggregator.ledgers.values()][0] as Ledger };
}

/** Runs all steps; returns their number and the most calls of `read` in one of them. */
function measure<T>(steps: Steps<T>, reads: () => number): { steps: number; most: number; value: T } {
  let most = 0;
  for (let count = 1; ; count++) {
    const before = reads();
    const { done, value } = steps.next();
    most = Math.max(most, reads() - before);
    if (done) return { steps: count, most, value };
  }
}

function countReads(): () => number {
  const spies = (["stored", "inFlight"] as const).map((name) => vi.spyOn(Entry.prototype, name, "get"));
  return () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
}

it.each([
  ["few workloads", 3],
  ["as many workloads as violations", HELD],
])("a report of %s is rendered, recorded and committed in steps", (_what, workloads) => {
  const { ledger } = fill(workloads);
  ledger.write.take();
  const reads = countReads();
  const rendered = measure(renderInSteps(ledger, renderOptions()), reads);
  expect(rendered.most).toBeLessThan(MOST);
  expect(rendered.steps).toBeGreaterThan(3 * (HELD / 1024));
  const report = buildReport(ledger, rendered.value, undefined, undefined);
  let updates = 0;
  const recorded = measure(
    recordEventUpdates(ledger, report, () => {
      updates++;
    }),
    () => updates,
  );
  expect(recorded.most).toBeLessThanOrEqual(64);
  expect(updates).toBe(HELD);
  const weighed = vi.spyOn(EntryMap.prototype, "updateBytes");
  const committed = measure(ledger.write.commitInSteps(), () => weighed.mock.calls.length);
  expect(committed.most).toBeLessThanOrEqual(256);
  expect([ledger.write.isInFlight, ledger.counts.written.occurrences, ledger.counts.unwritten]).toEqual([
    false,
    HELD,
    0,
  ]);
});

it("what is pending is taken, and looked at for new violations, without a visit to any", () => {
  const { aggregator, ledger } = fill(3);
  const reads = countReads();
  const moves = vi.spyOn(Entry.prototype, "inFlight", "set");
  const isNew = ledger.write.hasNewViolation;
  ledger.write.take();
  expect([isNew, ledger.write.hasNewViolation, reads(), moves.mock.calls.length]).toEqual([true, false, 0, 0]);
  expect([ledger.counts.listable, ledger.counts.unwritten]).toEqual([HELD, HELD]);
  add(aggregator, alert({ OwnerName: "w-q", Operation: "File", Resource: "/x/q", UpdatedTime: formatTimeAt(HELD) }));
  const [entry] = ledger.write.entries;
  expect([entry?.inFlight?.occurrences, entry?.pending?.occurrences]).toEqual([1, 1]);
  expect(ledger.write.hasNewViolation).toBe(false);
});

it("what is added between the steps of a commit is pending, and nothing is counted twice", () => {
  const { aggregator, ledger } = fill(3);
  ledger.write.take();
  let added = 0;
  const steps = ledger.write.commitInSteps();
  while (!steps.next().done) {
    expect(ledger.counts.written.occurrences).toBe(HELD);
    for (const resource of [`/x/${toLetters(added)}`, `/x/${toLetters(HELD - 1 - added)}`, `/y/${toLetters(added)}`])
      add(
        aggregator,
        alert({ OwnerName: "w-q", Operation: "File", Resource: resource, UpdatedTime: formatTimeAt(HELD) }),
      );
    added++;
  }
  expect(added).toBeGreaterThan(HELD / 256 - 2);
  expect([ledger.counts.written.occurrences, ledger.counts.unwritten]).toEqual([HELD, 3 * added]);
  ledger.write.take();
  ledger.write.commit();
  const { summary } = renderReport(ledger, renderOptions());
  expect(summary.occurrences).toBe(HELD + 3 * added);
});

it("retention visits a bounded number of violations in a step, of large reports and of many", () => {
  const { aggregator, ledger } = fill(3);
  for (let i = 0; i < 1000; i++) add(aggregator, alert({ PolicyName: `p-${toLetters(i)}` }));
  for (const each of aggregator.ledgers.values()) {
    each.write.take();
    each.write.commit();
  }
  const reads = countReads();
  const old = Number.MAX_SAFE_INTEGER;
  const { most, steps } = measure(aggregator.expire(old, 0), reads);
  expect(most).toBeLessThan(MOST);
  expect(steps).toBeGreaterThanOrEqual((HELD - 256) / 256);
  expect([ledger.entries.size, aggregator.stats.expired]).toEqual([0, HELD + 1000]);
  expect(ledger.isOver).toBe(true);
});

it("a name that becomes known looks at the reports of its namespace only", () => {
  const aggregator = new Aggregator(MEMORY, () => {});
  const reports = 500;
  for (let i = 0; i < reports; i++)
    add(aggregator, alert({ NamespaceName: `ns-${toLetters(i)}`, OwnerNamespace: `ns-${toLetters(i)}` }));
  const looks = vi.spyOn(SubjectCounts.prototype, "concerns");
  const found = violation(alert({ NamespaceName: "ns-q", OwnerNamespace: "ns-q" })).violation;
  expect([...touchEarlyReports(aggregator.ledgers, found)]).toEqual([]);
  add(aggregator, throttleNotice({ NamespaceName: "ns-q" }));
  expect(looks).toHaveBeenCalledTimes(2);
  expect(aggregator.ledgers.size).toBe(reports);
});
