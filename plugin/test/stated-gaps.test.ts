// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A report that was not written since a gap of the stream is read with the gap, as the operator will write it.

import { describe, expect, it } from "vitest";
import { STREAM_GAPS_ANNOTATION } from "../../src/api/names.ts";
import type { Coverage, Report } from "../../src/api/v1alpha1.ts";
import { addStatedGaps, readStatedGaps } from "../src/reports/stated-gaps.ts";

const GAP = {
  kind: "StreamDown" as const,
  from: "2026-11-23T10:00:00.000000Z",
  to: "2026-11-23T10:00:05.000000Z",
  seconds: 5,
};
const BEFORE = "2026-11-23T08:00:00.000000Z";

function addTo(coverage: Partial<Coverage>, ...gaps: (typeof GAP)[]): Coverage {
  const whole = { gaps: 0, throttleNotices: 0, lowerBound: false, ...coverage };
  return addStatedGaps({ coverage: whole } as Report, readStatedGaps(createLease(gaps))).coverage;
}

function createLease(gaps: readonly (typeof GAP)[]) {
  return { metadata: { annotations: { [STREAM_GAPS_ANNOTATION]: JSON.stringify(gaps) } } };
}

describe("a report", () => {
  it("from before the gap has it, is a lower bound, and was not read continuously", () => {
    expect(addTo({ continuousSince: BEFORE }, GAP)).toEqual({
      gaps: 1,
      throttleNotices: 0,
      lowerBound: true,
      recent: [GAP],
    });
  });

  it("that was written since is as it was", () => {
    const coverage = { continuousSince: GAP.to, gaps: 0, throttleNotices: 0, lowerBound: false };
    expect(addTo(coverage, GAP)).toEqual(coverage);
  });

  it("that has the gap as one that lasts has its end", () => {
    const { to: _, seconds: __, ...open } = GAP;
    const coverage = addTo({ gaps: 1, lowerBound: true, recent: [open] }, GAP);
    expect(coverage).toMatchObject({ gaps: 1, recent: [GAP] });
  });

  it("that has it, also during a later outage, has it once", () => {
    const later = { kind: "StreamDown" as const, from: "2026-11-23T11:00:00.000000Z" };
    const coverage = { gaps: 2, throttleNotices: 0, lowerBound: true, recent: [later, GAP] };
    expect(addTo(coverage, GAP)).toEqual(coverage);
  });

  it("that has only the first of two gaps that were joined has both", () => {
    const long = { ...GAP, to: "2026-11-23T10:05:00.000000Z", seconds: 300 };
    expect(addTo({ continuousSince: GAP.to, gaps: 1, lowerBound: true, recent: [GAP] }, long)).toMatchObject({
      gaps: 2,
      recent: [long],
    });
  });

  it("that was written during a later outage has no gap from before it began", () => {
    const later = { kind: "StreamDown" as const, from: "2026-11-23T11:00:00.000000Z" };
    const coverage = { gaps: 1, throttleNotices: 0, lowerBound: true, recent: [later] };
    expect(addTo(coverage, GAP)).toEqual(coverage);
  });

  it("lists the newest ten, the newest first", () => {
    const older = Array.from({ length: 10 }, (_, n) => ({ ...GAP, from: `2026-11-23T09:0${9 - n}:00.000000Z` }));
    const { gaps, recent } = addTo({ continuousSince: BEFORE, gaps: 10, recent: older }, GAP);
    expect([gaps, recent?.length, recent?.[0]]).toEqual([11, 10, GAP]);
  });

  it("keeps the last deletion, which no number has", () => {
    const deleted = { kind: "Deleted" as const, from: "2026-11-23T08:00:00.000000Z", to: BEFORE, seconds: 0, count: 7 };
    const older = Array.from({ length: 9 }, (_, n) => ({ ...GAP, from: `2026-11-23T09:0${9 - n}:00.000000Z` }));
    const { recent } = addTo({ continuousSince: BEFORE, gaps: 9, recent: [...older, deleted] }, GAP);
    expect([recent?.length, recent?.[0], recent?.at(-1)]).toEqual([10, GAP, deleted]);
  });

  it("without a stated gap is the same object", () => {
    const report = { coverage: { gaps: 0, throttleNotices: 0, lowerBound: false } } as Report;
    expect(addStatedGaps(report, [])).toBe(report);
  });
});

it("a Lease of any form is read", () => {
  expect(readStatedGaps(createLease([GAP]))).toHaveLength(1);
  for (const lease of [undefined, {}, { metadata: { annotations: 7 } }]) expect(readStatedGaps(lease)).toEqual([]);
});
