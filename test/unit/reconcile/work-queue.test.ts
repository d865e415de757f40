// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { WorkQueue } from "../../../src/reconcile/work-queue.ts";
import { PACE } from "../../support/gen.ts";

const NONE = new Map<string, unknown>();

/** Takes everything that is due, in order. */
function take(schedule: WorkQueue, nowMs: number, busy = NONE): string[] {
  const keys: string[] = [];
  for (let next = schedule.next(nowMs, busy); next; next = schedule.next(nowMs, busy)) keys.push(next.key);
  return keys;
}

describe("note", () => {
  it("waits for what comes with the first sight", () => {
    const schedule = new WorkQueue(PACE);
    expect(schedule.note("a", "new_report", 1000)).toBe(1200);
    expect(schedule.note("a", "new_violation", 1100)).toBe(1200);
    expect(schedule.size).toBe(1);
    expect(take(schedule, 1199)).toEqual([]);
    expect(take(schedule, 1200)).toEqual(["a"]);
    expect(schedule.size).toBe(0);
  });

  it("of something more urgent makes it sooner, of something less so not later", () => {
    const schedule = new WorkQueue(PACE);
    schedule.written("a", true, 1000);
    expect(schedule.note("a", "counters", 1100)).toBe(6000);
    expect(schedule.note("a", "coverage", 1200)).toBe(6000);
    expect(schedule.note("a", "new_violation", 1300)).toBe(1500);
    expect(schedule.note("a", "counters", 1400)).toBe(1500);
    expect(schedule.next(1500, NONE)).toEqual({ key: "a", fresh: true });
  });
});

describe("next", () => {
  it("is the most important that is due, then the one due first", () => {
    const schedule = new WorkQueue(PACE);
    for (const key of ["coverage", "counters", "counters-2"]) schedule.written(key, true, 0);
    schedule.note("coverage", "coverage", 100);
    schedule.note("counters-2", "counters", 10_000);
    schedule.note("counters", "counters", 100);
    schedule.note("violation", "new_violation", 20_000);
    schedule.note("report", "new_report", 20_000);
    schedule.note("later", "new_report", 20_001);
    expect(take(schedule, 20_200)).toEqual(["report", "violation", "counters", "counters-2", "coverage"]);
    expect(schedule.nextDueMs(NONE, 0)).toBe(20_201);
  });

  it("leaves busy ones waiting", () => {
    const schedule = new WorkQueue(PACE);
    schedule.note("a", "new_report", 0);
    schedule.note("b", "new_report", 100);
    const busy = new Map([["a", true]]);
    expect(schedule.nextDueMs(busy, 0)).toBe(300);
    expect(take(schedule, 1000, busy)).toEqual(["b"]);
    expect(schedule.nextDueMs(busy, 0)).toBeUndefined();
    expect(take(schedule, 1000)).toEqual(["a"]);
  });
});

describe("retry", () => {
  it("keeps even the most urgent change waiting", () => {
    const schedule = new WorkQueue(PACE);
    schedule.note("a", "new_report", 0);
    schedule.next(200, NONE);
    schedule.retry("a", 30_000, true);
    expect(schedule.note("a", "new_report", 300)).toBe(30_000);
    expect(schedule.note("a", "new_violation", 400)).toBe(30_000);
    expect(take(schedule, 29_999)).toEqual([]);
    expect(schedule.next(30_000, NONE)).toEqual({ key: "a", fresh: true });
  });

  it("remembers whether the write brings something new, or the change that came meanwhile", () => {
    const schedule = new WorkQueue(PACE);
    schedule.retry("fresh", 100, true);
    schedule.retry("stale", 100, false);
    schedule.note("meanwhile", "new_violation", 0);
    schedule.retry("meanwhile", 100, false);
    const next = () => schedule.next(1000, NONE);
    expect([next(), next(), next()]).toEqual([
      { key: "fresh", fresh: true },
      { key: "meanwhile", fresh: true },
      { key: "stale", fresh: false },
    ]);
  });

  it("is over with the next write", () => {
    const schedule = new WorkQueue(PACE);
    schedule.retry("a", 30_000, true);
    schedule.next(30_000, NONE);
    schedule.written("a", true, 30_000);
    expect(schedule.note("a", "new_violation", 30_001)).toBe(30_201);
  });
});

describe("written", () => {
  it("puts off counters that came during the write, and nothing that is new", () => {
    const schedule = new WorkQueue(PACE);
    schedule.note("a", "counters", 0);
    schedule.note("b", "new_violation", 0);
    schedule.written("a", true, 100);
    schedule.written("b", true, 100);
    expect(take(schedule, 5000)).toEqual(["b"]);
    expect(take(schedule, 5100)).toEqual(["a"]);
  });

  it("is forgotten with its key", () => {
    const schedule = new WorkQueue(PACE);
    schedule.written("a", true, 1000);
    schedule.note("a", "counters", 1100);
    schedule.forget("a");
    expect(schedule.size).toBe(0);
    expect(schedule.note("a", "counters", 1200)).toBe(1400);
  });
});
