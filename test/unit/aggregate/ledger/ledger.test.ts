// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Distinct } from "../../../../src/aggregate/counts/distinct.ts";
import { addPod, emptyTally, MAX_PODS, mergeInto } from "../../../../src/aggregate/counts/tally.ts";
import { emptyTotals, type Totals } from "../../../../src/aggregate/counts/totals.ts";
import type { Base, Counted } from "../../../../src/aggregate/entries/counted.ts";
import { drainChanges } from "../../../../src/aggregate/journal-changes.ts";
import { ChangeLog } from "../../../../src/aggregate/ledger/change-log.ts";
import { Ledger } from "../../../../src/aggregate/ledger/ledger.ts";
import { workloadKey } from "../../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../../src/lib/pacing/steps.ts";
import { renderReport } from "../../../../src/report/render.ts";
import { alert, formatTimeAt, hostAlert, renderOptions, START_US, violation } from "../../../support/gen.ts";
import { persist } from "../../ingest/fold-alerts.ts";

const FILE = { Operation: "File", Resource: "/etc/shadow", Result: "Passed" };

function createLedger(...alerts: ReturnType<typeof alert>[]): Ledger {
  const ledger = new Ledger("shop", "no-package-managers");
  for (const each of alerts) ledger.add(violation(each), true);
  return ledger;
}

const countSubjects = ({ subjects: { workloads, pods, nodes } }: Ledger) => [workloads.count, pods.count, nodes.count];

/** Occurrences of a ledger by place: [committed and in flight, pending]. */
function getPlaces(ledger: Ledger): [persisted: number, unwritten: number, sums: number] {
  let sum = 0;
  for (const { committed, inFlight, pending } of ledger.entries.values()) {
    for (const tally of [committed, inFlight, pending]) sum += tally?.occurrences ?? 0;
  }
  return [ledger.counts.written.occurrences, ledger.counts.unwritten, sum];
}

describe("a count", () => {
  it("goes from pending over in flight to committed", () => {
    const ledger = createLedger(alert(), alert(FILE));
    expect(getPlaces(ledger)).toEqual([0, 2, 2]);
    expect(ledger.write.isNeeded).toBe(true);
    ledger.write.take();
    expect(getPlaces(ledger)).toEqual([2, 2, 2]);
    expect(ledger.write).toMatchObject({ isInFlight: true, isNeeded: false });
    ledger.write.commit();
    expect(getPlaces(ledger)).toEqual([2, 0, 2]);
    expect(ledger.write.isInFlight).toBe(false);
    expect(ledger.counts.written).toMatchObject({ prevented: 1, allowed: 1, unknown: 0 });
  });

  it("goes back when the write did not happen, and meets what came meanwhile", () => {
    const ledger = createLedger(alert({ UpdatedTime: formatTimeAt(5) }));
    ledger.write.take();
    ledger.add(violation(alert({ UpdatedTime: formatTimeAt(1) })), true);
    ledger.add(violation(alert(FILE)), true);
    expect(getPlaces(ledger)).toEqual([1, 3, 3]);
    ledger.write.restore();
    expect(getPlaces(ledger)).toEqual([0, 3, 3]);
    expect(ledger.entries.size).toBe(2);
    persist(ledger);
    expect(ledger.counts.written).toMatchObject({ occurrences: 3, firstUs: START_US, lastUs: START_US + 5000 });
  });

  it("that comes during a write stays out of it", () => {
    const ledger = createLedger(alert());
    ledger.write.take();
    ledger.add(violation(alert({ UpdatedTime: formatTimeAt(1) })), true);
    ledger.write.commit();
    expect(getPlaces(ledger)).toEqual([1, 1, 2]);
    expect(ledger.write.isNeeded).toBe(true);
  });

  it("without its violation is counted all the same", () => {
    const ledger = createLedger(alert());
    ledger.add(violation(alert(FILE)), false);
    // A known violation is identified also at the bound.
    ledger.add(violation(alert({ UpdatedTime: formatTimeAt(1) })), false);
    persist(ledger);
    expect(ledger.counts.written).toMatchObject({ occurrences: 3, prevented: 2, allowed: 1 });
    expect(ledger.entries.size).toBe(1);
    // Later violations may be among those without details.
    ledger.add(violation(alert(FILE)), true);
    const marks = [...ledger.entries.values()].map(({ identity, lowerBound }) => [identity.operation, lowerBound]);
    expect(Object.fromEntries(marks)).toEqual({ Process: false, File: true });
  });
});

it("what gives way is not kept for a journal that does not have it", () => {
  const log = new ChangeLog();
  const ledger = new Ledger("shop", "no-package-managers", { log });
  const workloads = ["a", "b", "c"].map((source) => {
    const each = violation(alert({ ParentProcessName: `/bin/${source}` }));
    ledger.add(each, true);
    return workloadKey(each.violation.identity);
  });
  expect(log.waiting).toBe(3);

  const share = ledger.entries.getShare(workloads[0] as string);
  expect(share?.report.evict(share, 2, START_US)).toBe(2);

  expect(log.waiting).toBe(1);
  expect(drainChanges(ledger, 100)?.layers[0]?.violations).toHaveLength(1);
});

it("occurrences without details are never more than occurrences, also after the report was deleted", () => {
  const ledger = new Ledger("shop", "p");
  for (let i = 0; i < 50; i++) ledger.add(violation(alert({ UpdatedTime: formatTimeAt(i) })), true);
  persist(ledger);
  const share = ledger.entries.getShare(workloadKey(violation().identity));
  if (share) share.report.evict(share, 1, START_US);
  runAtOnce(ledger.transfer.rebase(undefined));
  ledger.add(violation(alert({ UpdatedTime: formatTimeAt(99) })), true);
  ledger.write.take();
  const { summary, coverage } = renderReport(ledger, renderOptions());
  expect(coverage.withoutDetails ?? 0).toBeLessThanOrEqual(summary.occurrences);
});

it("one write at a time is an invariant", () => {
  const ledger = createLedger(alert());
  expect(() => ledger.write.commit()).toThrow("commit follows take");
  expect(() => ledger.write.restore()).toThrow("restore follows take");
  ledger.write.take();
  expect(() => ledger.write.take()).toThrow("one write per report at a time");
});

function failWrite(ledger: Ledger): void {
  ledger.write.take();
  ledger.write.restore();
}

describe("what is there to write", () => {
  it.each<[string, (ledger: Ledger) => void, boolean]>([
    ["nothing", () => {}, false],
    ["a gap", (ledger) => ledger.gaps.addGap("StreamDown", START_US), true],
    ["a notice", (ledger) => ledger.gaps.addMissing("throttleNotices", 1, []), true],
    ["another state of the stream", (ledger) => ledger.write.touch(), true],
    ["what a failed write leaves", failWrite, true],
  ])("%s", (_name, act, isDirty) => {
    const ledger = createLedger(alert());
    persist(ledger);
    act(ledger);
    expect(ledger.write.isNeeded).toBe(isDirty);
  });
});

describe("rebase", () => {
  const base = (mods: Partial<Base> = {}): Base => ({
    totals: { ...emptyTotals(), occurrences: 10, prevented: 10, firstUs: 1, lastUs: 2, gaps: 1 },
    entries: [],
    createdUs: undefined,
    violations: 4,
    workloads: 1,
    pods: 5,
    nodes: 1,
    ...mods,
  });

  it("puts what is in flight and pending on top of what is stored", () => {
    const ledger = createLedger(alert());
    ledger.write.take();
    ledger.add(violation(alert(FILE)), true);
    runAtOnce(ledger.transfer.rebase(base()));
    expect(getPlaces(ledger)).toEqual([11, 2, 2]);
    expect(ledger.counts.written).toMatchObject({ prevented: 11, gaps: 1, firstUs: 1 });
    ledger.write.commit();
    expect(getPlaces(ledger)).toEqual([11, 1, 2]);
    // 5 pods are stored; this one may be one of them.
    expect(ledger.subjects.pods.count).toBe(5);
  });

  it("forgets what was committed before: the store knows better", () => {
    const ledger = createLedger(alert());
    persist(ledger);
    runAtOnce(ledger.transfer.rebase(undefined));
    expect(getPlaces(ledger)).toEqual([0, 0, 0]);
    expect(ledger.entries.size).toBe(0);
    expect(ledger.subjects.pods.count).toBe(0);
  });

  it("marks what the stored list does not have, where that was cut", () => {
    const ledger = createLedger(alert());
    runAtOnce(ledger.transfer.rebase(base()));
    expect([...ledger.entries.values()].map(({ lowerBound }) => lowerBound)).toEqual([true]);
    const whole = createLedger(alert());
    whole.transfer.rebase(base({ totals: emptyTotals() }));
    expect([...whole.entries.values()].map(({ lowerBound }) => lowerBound)).toEqual([false]);
  });
});

function drain(ledger: Ledger): { totals: Totals; entries: readonly Counted[] } {
  const parts: { totals: Totals; entries: readonly Counted[] }[] = [];
  runAtOnce(ledger.transfer.drainInSteps((totals, entries) => parts.push({ totals, entries })));
  const [all] = parts;
  if (!all || parts.length > 1) throw new Error("a few violations are given away at once");
  return all;
}

describe("drain and absorb", () => {
  it("hand over everything that is not written, also what is in flight", () => {
    const ledger = createLedger(alert());
    persist(ledger);
    ledger.add(violation(alert({ UpdatedTime: formatTimeAt(1) })), true);
    ledger.write.take();
    ledger.add(violation(alert(FILE)), true);
    const { totals, entries } = drain(ledger);
    expect(totals).toMatchObject({ occurrences: 2, prevented: 1, allowed: 1 });
    expect(entries.map(({ tally }) => tally.occurrences)).toEqual([1, 1]);

    const other = new Ledger(undefined, "no-package-managers");
    other.transfer.absorb(totals, entries);
    expect(getPlaces(ledger)).toEqual([1, 0, 0]);
    expect(getPlaces(other)).toEqual([0, 2, 2]);
    persist(other);
    expect(getPlaces(other)).toEqual([2, 0, 2]);
  });

  it("keep what has no violation", () => {
    const ledger = createLedger();
    ledger.add(violation(alert()), false);
    const { totals } = drain(ledger);
    const other = new Ledger(undefined, "p");
    other.transfer.absorb(totals, []);
    other.add(violation(hostAlert()), true);
    expect(other.counts.unwritten).toBe(2);
    expect([...other.entries.values()][0]?.lowerBound).toBe(true);
  });
});

describe("distinct things", () => {
  it("are counted once, and stored ones are a floor", () => {
    const ledger = createLedger(
      alert(),
      alert({ PodName: "web-2", HostName: "node-2" }),
      alert({ PodName: "web-2", HostName: "node-1" }),
      alert({ OwnerName: "db", PodName: "db-0" }),
    );
    expect(countSubjects(ledger)).toEqual([2, 3, 2]);
  });

  it("in the cluster report are pods by node, and hosts are not pods", () => {
    const ledger = new Ledger(undefined, "p");
    const pod = { NamespaceName: "container_namespace", PodName: "box" };
    for (const each of [hostAlert(), hostAlert(), alert(pod), alert(pod, { HostName: "node-2" })]) {
      ledger.add(violation(each), true);
    }
    expect(countSubjects(ledger)).toEqual([2, 2, 2]);
    ledger.add(violation(alert(pod, { NamespaceName: "Unknown" })), true);
    expect(ledger.subjects.pods.count).toBe(3);
  });

  it("beyond the bound are not distinguished, and may all have been seen", () => {
    const set = new Distinct();
    for (let i = 0; i < Distinct.MAX + 5; i++) set.add(String(i));
    expect(set.count).toBe(Distinct.MAX);
    expect(set.mayHave("1")).toBe(true);
    expect(set.mayHave("never")).toBe(true);
    expect(new Distinct().mayHave("1")).toBe(false);
  });
});

describe("pods of a violation", () => {
  it("are bounded: the least recent leaves, and of several the one that sorts first", () => {
    const tally = emptyTally();
    for (let i = 0; i < MAX_PODS; i++) addPod(tally, `p${i}`, `p${i}`, "n", 1, i < 3 ? 5 : 10);
    addPod(tally, "new", "new", "n", 1, 20);
    expect(tally.pods.size).toBe(MAX_PODS);
    expect(tally.pods.has("p0")).toBe(false);
    expect(tally.pods.has("p1")).toBe(true);
    // One that is older than all comes and goes.
    addPod(tally, "old", "old", "n", 1, 1);
    expect(tally.pods.has("old")).toBe(false);
  });

  it("have the node of their newest alert, in any order", () => {
    const older = emptyTally();
    addPod(older, "p", "p", "node-2", 1, 10);
    const newer = emptyTally();
    addPod(newer, "p", "p", "node-1", 2, 20);
    for (const [a, b] of [
      [older, newer],
      [newer, older],
    ] as const) {
      const both = mergeInto(mergeInto(emptyTally(), a), b);
      expect(both.pods.get("p")).toEqual({ name: "p", node: "node-1", occurrences: 3, lastUs: 20 });
    }
  });
});
