// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CoverageGap,
  createCoverageGap,
  GapBuilder,
  MAX_COVERAGE_GAPS,
  mergeCoverageGaps,
  parseCoverageGap,
  renderCoverageGap,
} from "../../../../src/aggregate/counts/coverage-gap.ts";
import { checkAll, START_US } from "../../../support/gen.ts";

const SECOND = 1_000_000;

function generateGap(): fc.Arbitrary<CoverageGap> {
  return fc
    .record({
      kind: fc.constantFrom("StreamDown", "Throttled", "Rejected"),
      from: fc.nat(20),
      lasted: fc.option(fc.nat(5), { nil: undefined }),
      pod: fc.constantFrom("", "web-1", "web-2"),
      count: fc.nat(3),
    })
    .map(({ kind, from, lasted, pod, count }) =>
      createCoverageGap(kind as CoverageGap["kind"], START_US + from * SECOND, {
        toUs: lasted === undefined ? undefined : START_US + (from + lasted) * SECOND,
        pod,
        count,
      }),
    );
}

const generateGaps = () => fc.array(generateGap(), { maxLength: 25 }).map((all) => mergeCoverageGaps([], all));

it("a gap does not end before it began, also where the clock was set back meanwhile", () => {
  const gap = createCoverageGap("JournalUnavailable", START_US, { toUs: START_US - SECOND });
  expect(renderCoverageGap(gap)).toMatchObject({ seconds: 0 });
  const stored = { ...renderCoverageGap(gap), to: "2001-01-01T00:00:00.000000Z", seconds: -1 };
  expect(parseCoverageGap(stored)).toEqual(gap);
});

describe("merging coverageGaps", () => {
  it("is associative, commutative, idempotent and bounded", () => {
    checkAll(300, [generateGaps(), generateGaps(), generateGaps()], (a, b, c) => {
      const merged = mergeCoverageGaps(mergeCoverageGaps(a, b), c);
      expect(mergeCoverageGaps(a, mergeCoverageGaps(b, c))).toEqual(merged);
      expect(mergeCoverageGaps(mergeCoverageGaps(c, b), a)).toEqual(merged);
      expect(mergeCoverageGaps(merged, a)).toEqual(merged);
      expect(merged.length).toBeLessThanOrEqual(MAX_COVERAGE_GAPS);
    });
  });

  it("keeps the newest, the newest first", () => {
    const all = Array.from({ length: 30 }, (_, i) =>
      createCoverageGap("StreamDown", START_US + i, { toUs: START_US + i }),
    );
    expect(mergeCoverageGaps([], all).map(({ fromUs }) => fromUs - START_US)).toEqual([
      29, 28, 27, 26, 25, 24, 23, 22, 21, 20,
    ]);
  });

  it("takes the end of one that was open for its end", () => {
    const open = createCoverageGap("StreamDown", START_US);
    const over = createCoverageGap("StreamDown", START_US, { toUs: START_US + 5 });
    expect(mergeCoverageGaps([open], [over])).toEqual([over]);
    expect(mergeCoverageGaps([over], [open])).toEqual([over]);
  });
});

it("a coverageGap is shown with what is known of it, and read back", () => {
  const open = createCoverageGap("StreamDown", START_US);
  expect(renderCoverageGap(open)).toEqual({ kind: "StreamDown", from: "2026-11-23T10:00:00.000000Z" });
  const all = createCoverageGap("Throttled", START_US, {
    toUs: START_US + 1.5 * SECOND,
    container: "app",
    pod: "web-1",
    node: "node-1",
    count: 3,
  });
  expect(renderCoverageGap(all)).toEqual({
    kind: "Throttled",
    from: "2026-11-23T10:00:00.000000Z",
    to: "2026-11-23T10:00:01.500000Z",
    seconds: 2,
    container: "app",
    pod: "web-1",
    node: "node-1",
    count: 3,
  });
  for (const each of [open, all]) expect(parseCoverageGap(renderCoverageGap(each))).toEqual(each);
  expect(parseCoverageGap({ kind: "Throttled", from: "yesterday" })).toBeUndefined();
});

it("alerts close together are one coverage gap with a count until a minute is quiet", () => {
  const builder = new GapBuilder("MemoryLimit");
  expect(builder.take()).toEqual([]);
  builder.add(START_US);
  builder.add(START_US + 60 * SECOND);
  const first = createCoverageGap("MemoryLimit", START_US, { toUs: START_US + 60 * SECOND, count: 2 });
  expect(builder.take()).toEqual([first]);
  expect(builder.take()).toEqual([]);
  // Older than the newest, and then more than a minute later.
  builder.add(START_US + 1);
  expect(builder.take()).toEqual([{ ...first, count: 3 }]);
  builder.add(START_US + 121 * SECOND);
  const second = createCoverageGap("MemoryLimit", START_US + 121 * SECOND, { toUs: START_US + 121 * SECOND, count: 1 });
  expect(builder.take()).toEqual([second]);
});
