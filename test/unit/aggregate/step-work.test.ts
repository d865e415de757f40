// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Work of one step on a report with many violations: violations visited, not time.

import { afterEach, expect, it, vi } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../src/aggregate/counts/set-numbers.ts";
import { Entry } from "../../../src/aggregate/entries/entry.ts";
import { EntryMap } from "../../../src/aggregate/entries/entry-map.ts";
import { drainChanges } from "../../../src/aggregate/journal-changes.ts";
import { SubjectCounts } from "../../../src/aggregate/ledger/distinct-subjects.ts";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { PendingCounts } from "../../../src/aggregate/ledger/pending-counts.ts";
import { recoverSet } from "../../../src/aggregate/ledger/recovered-counts.ts";
import { ReportEntries } from "../../../src/aggregate/ledger/report-entries.ts";
import {
  hasResolvableEntries,
  resolveEntries,
  touchUnresolvedReports,
} from "../../../src/aggregate/unresolved-entries.ts";
import { recordEventUpdates } from "../../../src/events/event-updates.ts";
import { SubjectNames } from "../../../src/ingest/violation/subject-names.ts";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import { subtractReported } from "../../../src/leadership/subtract-reported.ts";
import { SplitMap } from "../../../src/lib/collections/split-map.ts";
import { runAtOnce, type Steps } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { renderInSteps, renderReport } from "../../../src/report/render.ts";
import { ReportedUntil } from "../../../src/report/reported-until.ts";
import { alert, formatTimeAt, MEMORY, renderOptions, throttleNotice, toLetters, violation } from "../../support/gen.ts";
import { createBed } from "../ingest/cell-bed.ts";
import { add, persist } from "../ingest/fold-alerts.ts";

const HELD = 6000;
/** Of one step: an entry is read a few times where it is visited once. */
const MOST = 6 * 1024;

afterEach(() => vi.restoreAllMocks());

/** Digits would be folded away. */
function toAlert(i: number, workloads: number): ReturnType<typeof alert> {
  const mods = { OwnerName: `w-${toLetters(i % workloads)}`, Operation: "File", Resource: `/x/${toLetters(i)}` };
  return alert({ ...mods, UpdatedTime: formatTimeAt(i) });
}

function fill(workloads: number, journal?: ConstructorParameters<typeof Aggregator>[2]) {
  const aggregator = new Aggregator(MEMORY, () => {}, journal);
  for (let i = 0; i < HELD; i++) add(aggregator, toAlert(i, workloads));
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

it("a late write of another replica is subtracted in steps, and what is counted meanwhile is pending", () => {
  const { aggregator, ledger } = fill(3);
  const other = new Ledger("shop", "p");
  for (let i = 0; i < 3; i++) other.add(violation(toAlert(i, 3)), true);
  other.write.take();
  const shown = new ReportedUntil(buildReport(other, renderReport(other, renderOptions()), undefined, undefined), 10);
  ledger.write.take();
  for (let i = 0; i < HELD; i += 2) add(aggregator, toAlert(i, 3));
  const looks = vi.spyOn(ReportedUntil.prototype, "until");
  const steps = subtractReported(ledger, shown);
  const { most, value } = measure(
    (function* () {
      for (;;) {
        const { done, value: result } = steps.next();
        if (done) return result;
        add(aggregator, alert({ OwnerName: "w-q", UpdatedTime: formatTimeAt(2 * HELD) }));
        yield;
      }
    })(),
    () => looks.mock.calls.length,
  );
  expect(most).toBeLessThanOrEqual(2 * 256);
  // Of the three violations that the other replica has in its report two were seen twice here.
  expect(value).toEqual({ left: 5, isCertain: true });
  const kept = ledger.counts.all.occurrences;
  expect(kept).toBeGreaterThan(HELD + HELD / 2 - 5);
  expect(renderSum(ledger)).toBe(kept);
});

it("a journal begins again without a visit to any violation, and gets all rows batch by batch", () => {
  const { aggregator, ledger } = fill(3, { numbers: new SetNumbers() });
  while (drainChanges(ledger, 1000)?.layers.length);
  ledger.write.take();
  for (let i = 0; i < 100; i++) add(aggregator, toAlert(i, 3));
  while (drainChanges(ledger, 1000)?.layers.length);
  const reads = countReads();
  const before = reads();
  ledger.sets.resetLog();
  expect(reads() - before).toBe(0);
  const rows = new Map<string, number>();
  let added = 0;
  for (let change = drainChanges(ledger, 250); change?.layers.length; change = drainChanges(ledger, 250)) {
    for (const { seq, violations } of change.layers)
      for (const { key, pods, evidence } of violations) {
        expect([pods.length, evidence === undefined]).toEqual([1, false]);
        rows.set(`${seq} ${key}`, (rows.get(`${seq} ${key}`) ?? 0) + 1);
      }
    expect(change.layers.flatMap(({ violations }) => violations).length).toBeLessThanOrEqual(250);
    if (added < 20) add(aggregator, toAlert(HELD + added++, 3));
  }
  expect([rows.size, ledger.sets.log?.waiting]).toEqual([HELD + 100 + 20, 0]);
});

it("rows of a journal become counts in steps", () => {
  const { ledger } = fill(3, { numbers: new SetNumbers() });
  const layers = drainChanges(ledger, Number.POSITIVE_INFINITY)?.layers ?? [];
  const next = new Aggregator(MEMORY, () => {});
  const weighed = vi.spyOn(EntryMap.prototype, "begin");
  const begun = next.ledger("shop", "p");
  const sets = layers.map((layer) => runAtOnce(recoverSet(layer)));
  const first = begun.transfer.recover(sets);
  first.next();
  expect([begun.counts.unwritten, begun.entries.size]).toEqual([HELD, 32]);
  const { most } = measure(first, () => weighed.mock.calls.length);
  expect(most).toBeLessThanOrEqual(32);
  expect(renderSum(begun)).toBe(HELD);
});

/** Occurrences that a report written now lists and leaves out. */
function renderSum(ledger: Ledger): number {
  if (ledger.write.isInFlight) ledger.write.commit();
  persist(ledger);
  const { violations, omitted } = renderReport(ledger, renderOptions());
  return violations.reduce((sum, { occurrences }) => sum + occurrences, omitted?.occurrences ?? 0);
}

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
  persist(ledger);
  const { summary } = renderReport(ledger, renderOptions());
  expect(summary.occurrences).toBe(HELD + 3 * added);
});

it("retention visits a bounded number of violations in a step, of large reports and of many", () => {
  const { aggregator, ledger } = fill(3);
  for (let i = 0; i < 1000; i++) add(aggregator, alert({ PolicyName: `p-${toLetters(i)}` }));
  for (const each of aggregator.ledgers.values()) persist(each);
  const reads = countReads();
  const old = Number.MAX_SAFE_INTEGER;
  const { most, steps } = measure(aggregator.expire(old, 0), reads);
  expect(most).toBeLessThan(MOST);
  expect(steps).toBeGreaterThanOrEqual((HELD - 64) / 64);
  expect([ledger.entries.size, aggregator.stats.expired]).toEqual([0, HELD + 1000]);
  expect(ledger.isOver).toBe(true);
});

it.each([
  ["goes to the cluster report", "pending"],
  ["is forgotten", "committed"],
])("what the report of a namespace that is gone holds %s in steps", (_what, where) => {
  const { aggregator, ledger } = fill(HELD);
  if (where === "committed") persist(ledger);
  const removed = vi.spyOn(ReportEntries.prototype, "remove");
  const key = reportKey(ledger.namespace, ledger.policyName);
  const { most } = measure(aggregator.moveToCluster(key), () => removed.mock.calls.length);
  expect(most).toBeLessThanOrEqual(32);
  expect([removed.mock.calls.length, ledger.entries.size]).toEqual([HELD, 0]);
  const moved = where === "pending" ? HELD : 0;
  const [cluster] = aggregator.ledgers.values();
  expect([cluster?.entries.size ?? 0, cluster?.counts.unwritten ?? 0]).toEqual([moved, moved]);
});

it("an alert of a kind that a stored report of a gone namespace has counts between the steps of the move", () => {
  const { aggregator, send } = createBed({ maxCells: 2 * HELD, maxBytes: 100_000_000 });
  const kinds = 100;
  for (let i = 0; i < kinds; i++) send(toAlert(i, 3));
  const [[key, ledger]] = [...aggregator.ledgers] as [[string, Ledger]];
  persist(ledger);
  const steps = aggregator.moveToCluster(key);
  steps.next();
  for (let i = 0; i < kinds; i++) send(toAlert(i, 3), { UpdatedTime: formatTimeAt(kinds + i) });
  runAtOnce(steps);
  expect([...aggregator.ledgers.values()].reduce((sum, { counts }) => sum + counts.unwritten, 0)).toBe(kinds);
});

it("counts of cells are taken in steps, ahead of a write and where a report begins again", () => {
  const { aggregator, send } = createBed({ maxCells: 2 * HELD, maxBytes: 100_000_000 });
  for (let i = 0; i < HELD; i++) send(toAlert(i, 3));
  const ledger = [...aggregator.ledgers.values()][0] as Ledger;
  const taken = vi.spyOn(PendingCounts.prototype, "takeCount");
  const takes = () => taken.mock.calls.length;
  const ahead = measure(ledger.write.takeCells(), takes);
  expect([ahead.most, takes()]).toEqual([512, HELD]);
  ledger.write.take();
  expect(takes()).toBe(HELD);
  ledger.write.restore();
  for (let i = 0; i < HELD; i++) send(toAlert(i, 3));
  const again = measure(ledger.transfer.rebase(undefined), takes);
  expect([again.most, takes()]).toEqual([512, 2 * HELD]);
  expect(ledger.counts.unwritten).toBe(2 * HELD);
});

it("a name that becomes known looks at the reports of its namespace only", () => {
  const aggregator = new Aggregator(MEMORY, () => {});
  const reports = 500;
  for (let i = 0; i < reports; i++)
    add(aggregator, alert({ NamespaceName: `ns-${toLetters(i)}`, OwnerNamespace: `ns-${toLetters(i)}` }));
  const looks = vi.spyOn(SubjectCounts.prototype, "concerns");
  const found = violation(alert({ NamespaceName: "ns-q", OwnerNamespace: "ns-q" })).violation;
  expect([...touchUnresolvedReports(aggregator.ledgers, found)]).toEqual([]);
  add(aggregator, throttleNotice({ NamespaceName: "ns-q" }));
  expect(looks).toHaveBeenCalledTimes(2);
  expect(aggregator.ledgers.size).toBe(reports);
});

it("violations move to owners that become known in steps, and those that arrive meanwhile with them", () => {
  const { aggregator, ledger } = fill(3, { numbers: new SetNumbers() });
  const names = new SubjectNames();
  const learn = (pod: string) => {
    const { violation: found } = violation(alert({ PodName: pod, OwnerName: "w-q" }));
    names.learn(found, { hasOwner: true, containerId: "" });
  };
  const alone = (i: number, pod: string) =>
    alert({ PodName: pod, OwnerRef: "Pod", OwnerName: pod, Operation: "File", Resource: `/y/${toLetters(i)}` });
  for (let i = 0; i < HELD; i++) add(aggregator, alone(i, "early"));
  persist(ledger);
  const { violations } = ledger.counts;
  for (let i = 0; i < HELD; i += 2) add(aggregator, alone(i, "early"));
  learn("early");
  const moves = vi.spyOn(ReportEntries.prototype, "moveCounts");
  const steps = resolveEntries(ledger, names);
  const { most, steps: count } = measure(
    (function* () {
      for (let i = 0; ; i++) {
        if (steps.next().done) return;
        // Another pod, that has an owner from the second step on.
        add(aggregator, alone(i, "late"));
        if (i === 1) learn("late");
        yield;
      }
    })(),
    () => moves.mock.calls.length,
  );
  const late = count - 1;
  // The last of one round, and the first of the next.
  expect(most).toBeLessThanOrEqual(2 * 64);
  expect(late).toBeGreaterThanOrEqual(HELD / 64 - 1);
  expect([...ledger.entries.podShares]).toEqual([]);
  expect([ledger.counts.violations, ledger.entries.size]).toEqual([violations, 2 * HELD]);
  expect(renderSum(ledger)).toBe(2 * HELD + HELD / 2 + late);
});

it("a name that becomes known looks at no workload that has an owner", () => {
  const { aggregator, ledger } = fill(HELD);
  const pod = "alone";
  const unnamed = alert({ PodName: pod, OwnerRef: "Pod", OwnerName: pod, Operation: "File", Resource: "/x/q" });
  add(aggregator, unnamed);
  const names = new SubjectNames();
  const { violation: found } = violation(alert({ PodName: pod, OwnerName: "w-q" }));
  const scans = vi.spyOn(SplitMap.prototype, "values");
  expect([...touchUnresolvedReports(aggregator.ledgers, found)].length).toBe(1);
  names.learn(found, { hasOwner: true, containerId: "" });
  expect([hasResolvableEntries(ledger, names), runAtOnce(resolveEntries(ledger, names))]).toEqual([true, 1]);
  expect([...ledger.entries.podShares]).toEqual([]);
  expect(scans).not.toHaveBeenCalled();
});
