// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Books, REJECTIONS } from "../../../src/controller/books.ts";
import { StreamCoverage } from "../../../src/controller/stream-coverage.ts";

const lost = (lastReadMs: number) =>
  ({ lastReadMs, atMs: lastReadMs + 50, reason: "error", message: "x" }) as const;

describe("stream coverage", () => {
  it("is continuous from the first connection on", () => {
    const coverage = new StreamCoverage();
    expect(coverage.continuousSinceMs).toBeUndefined();
    expect(coverage.connected(1000)).toBe(0);
    expect(coverage.connected(2000)).toBe(0);
    expect(coverage).toMatchObject({ continuousSinceMs: 1000, gaps: 0, gapSeconds: 0, down: undefined });
  });

  it("counts a gap when it begins and its length when it ends, from the last sign of life", () => {
    const coverage = new StreamCoverage();
    coverage.connected(1000);
    expect(coverage.disconnected(lost(5000))).toBe(true);
    expect(coverage.disconnected(lost(6000))).toBe(false);
    expect(coverage).toMatchObject({
      continuousSinceMs: undefined,
      gaps: 1,
      gapSeconds: 0,
      down: lost(6000),
    });
    expect(coverage.connected(8000)).toBe(3000);
    expect(coverage).toMatchObject({ continuousSinceMs: 8000, gaps: 1, gapSeconds: 3, down: undefined });
    coverage.disconnected(lost(9000));
    coverage.connected(9500);
    expect(coverage).toMatchObject({ gaps: 2, gapSeconds: 3.5 });
    expect(coverage.disconnects).toEqual({ error: 3, ok_end: 0, watchdog: 0, connect_failed: 0 });
  });

  it.each([
    ["before the stream is open", false],
    ["after it is open", true],
  ])("counts the time without an operator, known %s", (_name, isOpenFirst) => {
    const coverage = new StreamCoverage();
    if (isOpenFirst) coverage.connected(61_000);
    coverage.notRunningSince(1000);
    if (!isOpenFirst) expect(coverage.connected(61_000)).toBe(60_000);
    expect(coverage).toMatchObject({ gaps: 1, gapSeconds: 60, continuousSinceMs: 61_000 });
  });

  it("never counts backwards, though a node's clock may run ahead of ours", () => {
    const coverage = new StreamCoverage();
    coverage.notRunningSince(100_000);
    expect(coverage.connected(61_000)).toBe(0);
    coverage.notRunningSince(100_000);
    expect(coverage.gapSeconds).toBe(0);
  });
});

describe("the books", () => {
  it("know every reason from the start", () => {
    expect(Object.keys(new Books().rejected).sort()).toEqual([...REJECTIONS].sort());
    expect(new Books().balanced).toBe(true);
  });

  it("tell when they do not balance", () => {
    const books = new Books();
    books.received = 6;
    books.counted = 1;
    books.duplicates = 2;
    books.throttleNotices = 1;
    books.rejected.invalid_json = 1;
    expect(books.balanced).toBe(false);
    books.rejected.no_policy = 1;
    expect(books.rejectedTotal).toBe(2);
    expect(books.balanced).toBe(true);
  });
});
