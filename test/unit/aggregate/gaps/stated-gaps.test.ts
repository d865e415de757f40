// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps that the Lease states: bounded without a loss, kept for a day and until they are persisted, and read back from any text.

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCoverageGap } from "../../../../src/aggregate/counts/coverage-gap.ts";
import {
  createStatedGap,
  hasGap,
  parseStated,
  renderStated,
  StatedGaps,
} from "../../../../src/aggregate/gaps/stated-gaps.ts";
import { formatStreamGaps, MAX_STREAM_GAPS, parseStreamGaps } from "../../../../src/aggregate/gaps/stream-gap-text.ts";
import { checkAll, START_US } from "../../../support/gen.ts";

const SECOND_US = 1_000_000;
const DAY_MS = 86_400_000;

function createGap(second: number, seconds = 1) {
  const fromUs = START_US + second * SECOND_US;
  return createStatedGap("StreamDown", fromUs, fromUs + seconds * SECOND_US);
}

describe("the list", () => {
  it("has the newest first, each once, until a day after its time everything is persisted", () => {
    const stated = new StatedGaps();
    stated.add(createGap(0), 0);
    stated.add(createGap(10), 10);
    stated.add(createGap(0, 5), 10);
    expect(stated.list).toEqual([createGap(10), createGap(0)]);
    stated.add(createGap(20), 2 * DAY_MS);
    stated.expire(DAY_MS - 1);
    expect(stated.list).toEqual([createGap(20), createGap(10), createGap(0)]);
    stated.expire(DAY_MS);
    expect(stated.list).toEqual([createGap(20), createGap(10)]);
  });

  it("at its bound has the two oldest as one, so that no gap is lost", () => {
    const stated = new StatedGaps();
    for (let n = 0; n <= MAX_STREAM_GAPS + 3; n++) stated.add(createGap(10 * n), n);
    expect([stated.size, stated.overflows]).toEqual([MAX_STREAM_GAPS, 4]);
    expect(stated.list.at(-1)).toEqual(createGap(0, 41));
  });
});

describe("text", () => {
  it("is read back", () => {
    const gaps = [createStatedGap("NodeDown", START_US + 1, START_US + 2_500_001, 3), createGap(-60)];
    expect(parseStated(parseStreamGaps(formatStreamGaps(renderStated(gaps))))).toEqual(gaps);
    expect(formatStreamGaps([])).toBe("");
  });

  it("of others is left out where it is no such gap, and never fails", () => {
    const gap = { kind: "StreamDown", from: "2026-11-23T10:00:00.000000Z", to: "2026-11-23T10:00:01.000000Z" };
    const bad = [
      { ...gap, kind: "Deleted" },
      { ...gap, kind: ["StreamDown"] },
      { ...gap, to: undefined },
      { ...gap, to: "2026-11-23T09:00:00.000000Z" },
      { ...gap, from: "yesterday" },
      null,
      [],
      "StreamDown",
    ];
    expect(parseStreamGaps(JSON.stringify([...bad, { ...gap, nodes: -1, pod: "x" }]))).toEqual([
      { ...gap, seconds: 1 },
    ]);
    expect(parseStreamGaps(JSON.stringify(Array(1000).fill(gap)))).toHaveLength(MAX_STREAM_GAPS);
    expect(["", "{", "{}", "7", '"x"'].flatMap(parseStreamGaps)).toEqual([]);
    checkAll(200, [fc.oneof(fc.string(), fc.json())], (text) => {
      parseStated(parseStreamGaps(text));
    });
  });
});

describe("a report", () => {
  const gap = createGap(0);
  const newer = Array.from({ length: 10 }, (_, n) => createGap(10 * (n + 1)));

  it("has a gap that it lists, or that newer ones may have pushed out", () => {
    expect(hasGap([], gap)).toBe(false);
    expect(hasGap([createCoverageGap("StreamEnded", gap.fromUs)], gap)).toBe(false);
    expect(hasGap([createCoverageGap("StreamDown", gap.fromUs)], gap)).toBe(true);
    expect(hasGap(newer.slice(1), gap)).toBe(false);
    expect(hasGap(newer, gap)).toBe(true);
  });

  it("lacks a gap that was joined with the next one, where it has only the first", () => {
    const first = createCoverageGap("StreamDown", gap.fromUs, { toUs: gap.toUs });
    expect(hasGap([first], createGap(0, 11))).toBe(false);
    expect(hasGap([{ ...first, toUs: undefined }], createGap(0, 11))).toBe(true);
  });
});
