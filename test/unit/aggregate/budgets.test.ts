// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The three small machines with a time argument: duplicates, pace, token bucket.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AlertHash, type Hash64 } from "../../../src/ingest/cells/alert-hash.ts";
import { DuplicateFilter } from "../../../src/ingest/duplicates.ts";
import { TokenBucket } from "../../../src/lib/pacing/token-bucket.ts";
import { afterWrite, computeDueMs, createPace, type Pace } from "../../../src/reconcile/write-pace.ts";
import { alert, checkAll, PACE, START_US } from "../../support/gen.ts";

describe("the duplicate filter", () => {
  /** A filter of alerts that differ in one word. */
  function createFilter(windowMs: number, maxEntries: number): (word: string, nowMs: number) => boolean {
    const filter = new DuplicateFilter({ windowMs, maxEntries });
    const hash = new AlertHash({ low: 1, high: 2 });
    return (word, nowMs) => {
      hash.hashDecoded(alert({ Resource: word }));
      return filter.isDuplicate(hash.content, START_US, nowMs);
    };
  }

  it("knows an alert for the window at least, and for twice that at most", () => {
    for (const startMs of [0, 1_000_000]) {
      const isDuplicate = createFilter(1000, 100);
      expect(isDuplicate("a", startMs)).toBe(false);
      expect(isDuplicate("a", startMs + 999)).toBe(true);
      expect(isDuplicate("b", startMs + 999)).toBe(false);
      expect(isDuplicate("b", startMs + 1998)).toBe(true);
      expect(isDuplicate("a", startMs + 4000)).toBe(false);
      expect(isDuplicate("b", startMs + 5000)).toBe(false);
      expect(isDuplicate("a", startMs + 6000)).toBe(false);
    }
  });

  it("forgets an alert in time although it is repeated", () => {
    const isDuplicate = createFilter(1000, 100);
    expect([0, 900, 1800, 2700].map((ms) => isDuplicate("a", ms))).toEqual([false, true, true, true]);
    expect(isDuplicate("a", 2800)).toBe(false);
  });

  it("forgets the older half at the bound, and holds no more than that", () => {
    const isDuplicate = createFilter(Number.POSITIVE_INFINITY, 10);
    for (let i = 0; i < 11; i++) expect(isDuplicate(`k${i}`, 0)).toBe(false);
    for (let i = 5; i < 11; i++) expect(isDuplicate(`k${i}`, 0)).toBe(true);
    expect(isDuplicate("k4", 0)).toBe(false);
  });

  it("is not confused by a clock that goes back", () => {
    const isDuplicate = createFilter(1000, 100);
    expect(isDuplicate("a", 10_000)).toBe(false);
    expect(isDuplicate("a", 5000)).toBe(true);
    expect(isDuplicate("a", 10_500)).toBe(true);
  });

  it("never takes an alert for a duplicate that did not come", () => {
    checkAll(200, [fc.array(fc.tuple(fc.nat(20), fc.nat(500)), { maxLength: 100 })], (steps) => {
      const isDuplicate = createFilter(1000, 8);
      const came = new Set<number>();
      let nowMs = 0;
      for (const [key, ms] of steps) {
        nowMs += ms;
        if (isDuplicate(String(key), nowMs)) expect(came.has(key)).toBe(true);
        came.add(key);
      }
    });
  });

  it("knows every alert it holds, and no other, where parts of the hashes are equal", () => {
    const filter = new DuplicateFilter({ windowMs: Number.POSITIVE_INFINITY, maxEntries: 4000 });
    const each = (visit: (content: Hash64, us: number) => void) => {
      // Many more than the first slots, whose last one is that of -1.
      for (const low of [-1, 0, 1 << 20])
        for (let high = 1; high <= 100; high++)
          for (const us of [START_US, START_US + 2 ** 32, START_US + 1]) visit({ low, high }, us);
    };
    each((content, us) => expect(filter.isDuplicate(content, us, 0)).toBe(false));
    each((content, us) => expect(filter.isDuplicate(content, us, 0)).toBe(true));
    expect(filter.isDuplicate({ low: 0, high: 101 }, START_US, 0)).toBe(false);
  });
});

describe("the token bucket", () => {
  it("starts full, empties, and fills again", () => {
    const bucket = new TokenBucket(10, 3);
    expect([1, 2, 3, 4].map(() => bucket.take(1000))).toEqual([true, true, true, false]);
    expect(bucket.waitMs(1000)).toBe(100);
    expect(bucket.waitMs(1050)).toBe(50);
    expect(bucket.take(1099)).toBe(false);
    expect(bucket.waitMs(1100)).toBe(0);
    expect(bucket.take(1100)).toBe(true);
    expect([1, 2, 3, 4].map(() => bucket.take(99_000))).toEqual([true, true, true, false]);
  });

  it("gives nothing for a clock that goes back", () => {
    const bucket = new TokenBucket(10, 1);
    expect(bucket.take(1000)).toBe(true);
    expect(bucket.take(500)).toBe(false);
    expect(bucket.take(1100)).toBe(true);
  });

  it("never gives more than rate and burst", () => {
    checkAll(200, [fc.array(fc.nat(300), { maxLength: 200 })], (steps) => {
      const bucket = new TokenBucket(20, 5);
      let nowMs = 0;
      let taken = 0;
      for (const ms of steps) {
        nowMs += ms;
        if (bucket.take(nowMs)) taken++;
      }
      expect(taken).toBeLessThanOrEqual(5 + (nowMs * 20) / 1000);
    });
  });

  it("says truly how long to wait", () => {
    checkAll(200, [fc.integer({ min: 1, max: 1000 }), fc.nat(10_000)], (perSecond, startMs) => {
      const bucket = new TokenBucket(perSecond, 1);
      bucket.take(startMs);
      expect(bucket.take(startMs + bucket.waitMs(startMs))).toBe(true);
    });
  });
});

describe("the pace of one report", () => {
  it("comes back to 5 s after a quiet time or a new violation", () => {
    const slow: Pace = { lastWriteMs: 0, intervalMs: 60_000, credit: 3 };
    expect(computeDueMs(slow, "counters", 1000, PACE)).toBe(60_000);
    expect(computeDueMs(slow, "counters", 119_000, PACE)).toBe(119_200);
    expect(afterWrite(slow, true, 60_000, PACE).intervalMs).toBe(5000);
    expect(afterWrite(slow, false, 60_000, PACE).intervalMs).toBe(60_000);
    expect(afterWrite(slow, false, 121_000, PACE).intervalMs).toBe(5000);
  });

  it("lets a new violation in at once as long as there is credit", () => {
    const pace: Pace = { lastWriteMs: 1000, intervalMs: 60_000, credit: 1 };
    expect(computeDueMs(pace, "new_violation", 1100, PACE)).toBe(1300);
    expect(computeDueMs({ ...pace, credit: 0 }, "new_violation", 1100, PACE)).toBe(6000);
    expect(computeDueMs({ ...pace, credit: 0 }, "new_report", 1100, PACE)).toBe(6000);
  });

  it("never asks for the past, and never for more than the longest interval", () => {
    const urgency = fc.constantFrom("new_report", "new_violation", "counters", "coverage");
    checkAll(300, [fc.array(fc.tuple(urgency, fc.nat(90_000)), { maxLength: 50 })], (changes) => {
      let pace = createPace(PACE);
      let nowMs = 1_000_000;
      for (const [change, afterMs] of changes) {
        nowMs += afterMs;
        const due = computeDueMs(pace, change, nowMs, PACE);
        expect(due).toBeGreaterThanOrEqual(nowMs + PACE.firstWriteDelayMs);
        expect(due).toBeLessThanOrEqual(nowMs + PACE.maxIntervalMs + PACE.firstWriteDelayMs);
        pace = afterWrite(pace, change === "new_report" || change === "new_violation", due, PACE);
        nowMs = due;
      }
    });
  });
});
