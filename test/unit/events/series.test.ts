// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import type { EventUpdate } from "../../../src/events/event-recorder.ts";
import {
  addOccurrence,
  countPending,
  createAttempt,
  createSeries,
  isDue,
  isOver,
  recordSent,
  type Series,
  startOver,
  toSeriesKey,
} from "../../../src/events/series.ts";
import { createUpdate } from "./recorder-bench.ts";

const T_MS = Date.UTC(2026, 10, 23, 10);
const T_US = T_MS * 1000;

const createOccurrence = (changes: Partial<EventUpdate> = {}) => createUpdate(T_US, changes);

/** A series of which `sent` occurrences were sent at T_MS. */
function startSeries(sent: number): Series {
  const series = createSeries("k", createOccurrence(), T_MS);
  add(series, sent);
  recordSent(series, createAttempt(series, "u1", T_MS, 0), T_MS);
  return series;
}

function add(series: Series, count: number, changes: Partial<EventUpdate> = {}, nowMs = T_MS): void {
  addOccurrence(series, createOccurrence(changes), count, nowMs);
}

describe("a series is one pod or node, policy, operation, action and outcome", () => {
  test.each([
    [{ regarding: { kind: "Pod", namespace: "shop", name: "web-1" } }],
    [{ regarding: { kind: "Pod", namespace: "web-0", name: "shop" } }],
    [{ regarding: { kind: "Node", name: "web-0" } }],
    [{ policy: "q" }],
    [{ policy: 'p","Process' }],
    [{ operation: "File" }],
    [{ action: "Audit" }],
    [{ outcome: "Allowed" }],
  ] as Partial<EventUpdate>[][])("%j makes another one", (changes) => {
    expect(toSeriesKey(createOccurrence(changes))).not.toBe(toSeriesKey(createOccurrence()));
  });

  test("note, report, count and times do not", () => {
    const other = createOccurrence({ note: "other", count: 9, firstUs: 1, lastUs: 2 });
    delete other.related;
    expect(toSeriesKey(other)).toBe(toSeriesKey(createOccurrence()));
  });
});

describe("the next word is due", () => {
  test.each([
    [1, 2, true],
    [2, 3, false],
    [2, 9, false],
    [9, 10, true],
    [5, 1234, true],
    [10, 99, false],
    [99, 100, true],
    [1000, 9999, false],
    [9999, 10_000, true],
  ])("after %i reported and %i counted: %s, and always after a minute", (reported, total, expected) => {
    const series = startSeries(reported);
    add(series, total - reported);
    expect(isDue(series, T_MS)).toBe(expected);
    expect(isDue(series, T_MS + 59_999)).toBe(expected);
    expect(isDue(series, T_MS + 60_000)).toBe(true);
  });
});

test("a series is over after six minutes of silence, but not while a count is pending", () => {
  const series = startSeries(3);
  expect(isOver(series, T_MS + 359_999)).toBe(false);
  expect(isOver(series, T_MS + 360_000)).toBe(true);
  add(series, 1);
  expect(isOver(series, T_MS + 360_000)).toBe(false);
});

describe("the request", () => {
  test("for one occurrence has no series, and its time is the first time", () => {
    const series = createSeries("k", createOccurrence(), T_MS);
    add(series, 1, { firstUs: T_US - 5, lastUs: T_US });
    expect(createAttempt(series, "u1", T_MS, 0)).toEqual({
      kind: "create",
      upTo: 1,
      event: {
        name: "web-0.1a207d9210000000000",
        namespace: "shop",
        reason: "PolicyViolationPrevented",
        action: "BlockProcess",
        note: "n",
        regarding: { apiVersion: "v1", kind: "Pod", namespace: "shop", name: "web-0", uid: "u1" },
        related: { kind: "PolicyViolationReport", namespace: "shop", name: "p", uid: "r" },
        eventTimeUs: T_US - 5,
      },
    });
  });

  test("after that patches the count, and the report's uid may come later", () => {
    const series = createSeries("k", createOccurrence(), T_MS);
    add(series, 1);
    expect(recordSent(series, createAttempt(series, "u1", T_MS, 0), T_MS)).toBe(1);
    add(series, 2, { lastUs: T_US + 7 });
    const attempt = createAttempt(series, "u1", T_MS, 0.9);
    expect(attempt).toMatchObject({
      kind: "patch",
      ref: { namespace: "shop", name: "web-0.1a207d9210000000000" },
      count: 3,
      lastUs: T_US + 7,
      upTo: 3,
    });
    add(series, 5);
    expect(recordSent(series, attempt, T_MS)).toBe(2);
    expect(countPending(series)).toBe(5);
  });

  test("about an object with a new uid counts only what is pending", () => {
    const series = startSeries(120);
    add(series, 1, { firstUs: T_US + 50, lastUs: T_US + 50 });
    add(series, 2, { firstUs: T_US + 40, lastUs: T_US + 60 });
    startOver(series);
    const attempt = createAttempt(series, "u2", T_MS, 0);
    expect(attempt).toMatchObject({
      kind: "create",
      event: { regarding: { uid: "u2" }, eventTimeUs: T_US + 40, series: { count: 3, lastObservedUs: T_US + 60 } },
    });
    expect(recordSent(series, attempt, T_MS)).toBe(3);
    add(series, 6);
    expect(isDue(series, T_MS)).toBe(false);
    add(series, 1);
    expect(isDue(series, T_MS)).toBe(true);
    expect(createAttempt(series, "u2", T_MS, 0)).toMatchObject({ kind: "patch", count: 10 });
  });

  test("about a node has no namespace of the node, and lives in default", () => {
    const about = createOccurrence({ regarding: { kind: "Node", name: "n1" } });
    delete about.related;
    const series = createSeries("k", about, T_MS);
    addOccurrence(series, about, 1, T_MS);
    const attempt = createAttempt(series, "u", T_MS, 0);
    expect(attempt.kind === "create" && attempt.event).toMatchObject({
      namespace: "default",
      regarding: { apiVersion: "v1", kind: "Node", name: "n1", uid: "u" },
    });
    expect(attempt.kind === "create" && "related" in attempt.event).toBe(false);
  });
});
