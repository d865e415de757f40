// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SequenceTracker, type SourceMessage } from "../../../../src/scale/messages/sequence-tracker.ts";
import { checkAll } from "../../../support/gen.ts";

/** The messages of one source with these occurrences. */
function createMessages(occurrences: readonly number[]): SourceMessage[] {
  let cumulative = 0;
  return occurrences.map((count, i) => {
    cumulative += count;
    return { source: "a", seq: i + 1, cumulative, occurrences: count, atMs: i, untilUs: i };
  });
}

describe("SequenceTracker", () => {
  it("finds every occurrence that is missing, and counts none twice", () => {
    checkAll(
      100,
      [fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom("once", "twice", "lost")), { minLength: 1 })],
      (lots) => {
        const all = createMessages(lots.map(([count]) => count));
        const tracker = new SequenceTracker();
        let counted = 0;
        let missing = 0;
        // The first message arrives and the last one as well: only a gap between two can be seen.
        const fates = lots.map(([, fate], i) => (i === 0 || i === lots.length - 1 ? "once" : fate));
        for (const [i, message] of all.entries()) {
          if (fates[i] === "lost") continue;
          for (let time = 0; time < (fates[i] === "twice" ? 2 : 1); time++) {
            const arrival = tracker.accept(message);
            if (arrival.kind !== "duplicate") counted += message.occurrences;
            if (arrival.kind === "after_gap") missing += arrival.occurrences ?? Number.NaN;
          }
        }
        expect(counted + missing).toBe(all.at(-1)?.cumulative);
      },
    );
  });

  it("continues from a snapshot", () => {
    const all = createMessages([1, 2, 3, 4]);
    const first = new SequenceTracker();
    first.accept(all[0] as SourceMessage);
    first.accept(all[1] as SourceMessage);
    const second = new SequenceTracker(structuredClone(first.snapshot()));
    expect(second.accept(all[1] as SourceMessage)).toEqual({ kind: "duplicate" });
    expect(second.accept(all[3] as SourceMessage)).toEqual({ kind: "after_gap", occurrences: 3, fromUs: 1 });
  });

  it("does not know how many are missing of a source that it has not seen", () => {
    const [, second] = createMessages([5, 1]);
    expect(new SequenceTracker().accept(second as SourceMessage)).toEqual({
      kind: "after_gap",
      occurrences: undefined,
      fromUs: undefined,
    });
  });
});
