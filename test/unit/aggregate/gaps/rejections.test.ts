// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { createCoverageGap } from "../../../../src/aggregate/counts/coverage-gap.ts";
import { Rejections } from "../../../../src/aggregate/gaps/rejections.ts";
import { alert, MEMORY, START_US, violation } from "../../../support/gen.ts";

const createSpan = () => [START_US, START_US] as const;

describe("rejected alerts", () => {
  it("are reported once, to the scope that they named", () => {
    const span = () => [START_US, START_US + 1_000_000] as const;
    const rejections = new Rejections();
    rejections.add({ namespace: "shop" }, START_US);
    rejections.add({ namespace: undefined }, START_US);
    rejections.add(undefined, START_US);
    rejections.add(undefined, undefined);
    const at = createCoverageGap("Rejected", START_US, { toUs: START_US, count: 1 });
    const somewhere = createCoverageGap("Rejected", START_US, { toUs: START_US + 1_000_000, count: 1 });
    expect(rejections.take(span)).toEqual([
      { scope: { namespace: "shop" }, count: 1, coverageGaps: [at] },
      { scope: { namespace: undefined }, count: 1, coverageGaps: [at] },
      { scope: undefined, count: 2, coverageGaps: [somewhere, at] },
    ]);
    expect(rejections.take(span)).toEqual([]);
  });

  it("of a namespace concern no other, also after a thousand namespaces had some", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 3000; i++) {
      rejections.add({ namespace: `ns-${i}` }, START_US + i);
      if (i % 500 === 499) {
        const marked = rejections.take(createSpan);
        expect(marked.map(({ scope }) => scope)).not.toContain(undefined);
        expect(marked).toHaveLength(500);
      }
    }
  });

  it("of more namespaces at once than are kept apart have to be reported first", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 1000; i++) {
      expect(rejections.isFull).toBe(false);
      rejections.add({ namespace: `ns-${i}` }, START_US);
    }
    expect(rejections.isFull).toBe(true);
    expect(rejections.take(createSpan)).toHaveLength(1000);
    expect(rejections.isFull).toBe(false);
  });

  it("of ever more namespaces are held for a thousand", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 10_000; i++) {
      if (rejections.isFull) rejections.take(createSpan);
      rejections.add({ namespace: `ns-${i}` }, START_US);
      expect(rejections.size).toBeLessThanOrEqual(1000);
    }
  });

  it("of 1,500 namespaces in the same second mark their own reports and no other", () => {
    const touched: string[] = [];
    const aggregator = new Aggregator(MEMORY, (key) => touched.push(key));
    for (const namespace of ["ns-0", "ns-1499", "shop"]) {
      aggregator.add(violation(alert({ NamespaceName: namespace, OwnerNamespace: namespace })));
    }
    for (let i = 0; i < 1500; i++) aggregator.gaps.addRejected({ namespace: `ns-${i}` }, START_US);
    aggregator.gaps.addRejected(undefined, START_US);
    aggregator.gaps.reportRejections();
    const rejected = [...aggregator.ledgers.values()].map(({ namespace, counts }) => [namespace, counts.all.rejected]);
    expect(rejected).toEqual([
      ["ns-0", 2],
      ["ns-1499", 2],
      ["shop", 1],
    ]);
  });
});
