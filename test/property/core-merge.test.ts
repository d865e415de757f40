// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KnownPolicy } from "../../src/aggregate/known-policy.ts";
import { addAlert, emptyTally, mergeInto, type Tally } from "../../src/aggregate/tally.ts";
import { countOutcome, emptyTotals, mergeTotals, type Totals } from "../../src/aggregate/totals.ts";
import type { Occurrence } from "../../src/ingest/occurrence.ts";
import { runs, violation, worldAlert } from "../support/gen.ts";

const violations = fc.array(
  worldAlert().map((alert) => violation(alert)),
  { maxLength: 12 },
);

function tallyOf(list: readonly Occurrence[]): Tally {
  const tally = emptyTally();
  for (const each of list) addAlert(tally, each);
  return tally;
}

function merged(...tallies: readonly Tally[]): Tally {
  return tallies.reduce(mergeInto, emptyTally());
}

/** Maps in one order, so that two tallies can be compared. */
function shown(tally: Tally): unknown {
  return {
    ...tally,
    latest: tally.latest?.read(),
    pods: [...tally.pods].sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

describe("merging tallies", () => {
  it("is counting all at once", () => {
    fc.assert(
      fc.property(violations, violations, (a, b) => {
        expect(shown(merged(tallyOf(a), tallyOf(b)))).toEqual(shown(tallyOf([...a, ...b])));
      }),
      runs(300),
    );
  });

  it("is commutative and associative, and nothing is its neutral element", () => {
    fc.assert(
      fc.property(violations, violations, violations, (a, b, c) => {
        const [x, y, z] = [tallyOf(a), tallyOf(b), tallyOf(c)];
        expect(shown(merged(x, y))).toEqual(shown(merged(y, x)));
        expect(shown(merged(merged(x, y), z))).toEqual(shown(merged(x, merged(y, z))));
        expect(shown(merged(emptyTally(), x))).toEqual(shown(x));
      }),
      runs(300),
    );
  });

  it("leaves what is added as it was", () => {
    fc.assert(
      fc.property(violations, violations, (a, b) => {
        const delta = tallyOf(b);
        mergeInto(tallyOf(a), delta);
        expect(shown(delta)).toEqual(shown(tallyOf(b)));
      }),
      runs(200),
    );
  });
});

const totals: fc.Arbitrary<Totals> = fc
  .array(fc.tuple(fc.constantFrom("Prevented", "Allowed", "Unknown"), fc.nat(1000), fc.nat(1000)), {
    maxLength: 6,
  })
  .chain((outcomes) =>
    fc.record({ gaps: fc.nat(3), throttleNotices: fc.nat(3) }).map((coverage) => {
      const sum = { ...emptyTotals(), ...coverage };
      for (const [outcome, us, length] of outcomes) countOutcome(sum, outcome, 1 + length, us, us + length);
      return sum;
    }),
  );

describe("merging totals", () => {
  it("is commutative and associative, and nothing is its neutral element", () => {
    fc.assert(
      fc.property(totals, totals, totals, (a, b, c) => {
        expect(mergeTotals(a, b)).toEqual(mergeTotals(b, a));
        expect(mergeTotals(mergeTotals(a, b), c)).toEqual(mergeTotals(a, mergeTotals(b, c)));
        expect(mergeTotals(emptyTotals(), a)).toEqual(a);
      }),
      runs(300),
    );
  });

  it("keeps the outcomes adding up", () => {
    fc.assert(
      fc.property(totals, totals, (a, b) => {
        const { occurrences, prevented, allowed, unknown } = mergeTotals(a, b);
        expect(prevented + allowed + unknown).toBe(occurrences);
      }),
      runs(200),
    );
  });
});

describe("what is known of a policy", () => {
  it("does not depend on the order of the alerts", () => {
    const told = fc
      .array(
        worldAlert().map((alert) => violation(alert)),
        { maxLength: 10 },
      )
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(told, ([one, other]) => {
        const facts = (list: readonly Occurrence[]) => {
          const known = new KnownPolicy();
          for (const { violation: v, timeUs } of list) known.learn(v.policy, timeUs);
          return known.facts();
        };
        expect(facts(other)).toEqual(facts(one));
      }),
      runs(300),
    );
  });
});
