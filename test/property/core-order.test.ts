// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The same alerts in any order, in any batching, with any writes that fail in between: the same bytes.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Aggregator } from "../../src/aggregate/aggregator.ts";
import type { Alert } from "../../src/api/alert.ts";
import { renderReport } from "../../src/report/render.ts";
import { generateHostileAlert, generateWorldAlert, generateWorldNotice } from "../support/alert-generators.ts";
import { checkAll, renderOptions } from "../support/gen.ts";
import { add, addAll, createAggregator, renderReports, reports } from "../unit/ingest/fold-alerts.ts";

const LIMITS = [{}, { maxViolations: 3 }, { maxBytes: 4000 }, { maxPodsPerViolation: 1 }] as const;

const inputs = fc.array(
  fc.oneof({ arbitrary: generateWorldAlert(), weight: 6 }, { arbitrary: generateWorldNotice(), weight: 1 }),
  { minLength: 1, maxLength: 40 },
);

/** The inputs and the same in another order. */
const shuffled = inputs.chain((alerts) =>
  fc.tuple(fc.constant(alerts), fc.shuffledSubarray(alerts, { minLength: alerts.length, maxLength: alerts.length })),
);

describe("order", () => {
  it.each(LIMITS)("does not matter, with %j", (limits) => {
    const options = renderOptions(limits);
    checkAll(300, [shuffled], ([one, other]) => {
      expect(JSON.stringify(reports(other, options))).toBe(JSON.stringify(reports(one, options)));
    });
  });

  it("does not matter for hostile alerts", () => {
    const two = fc
      .array(generateHostileAlert(), { minLength: 2, maxLength: 8 })
      .chain((alerts) => fc.tuple(fc.constant(alerts), fc.shuffledSubarray(alerts, { minLength: alerts.length })));
    checkAll(200, [two], ([one, other]) => {
      expect(JSON.stringify(reports(other))).toBe(JSON.stringify(reports(one)));
    });
  });
});

/** Events between two alerts. */
type Step = "take" | "commit" | "restore" | "render";
const steps = fc.array(fc.tuple(fc.nat(50), fc.nat(5), fc.constantFrom<Step>("take", "commit", "restore", "render")), {
  maxLength: 40,
});

describe("batching", () => {
  it.each(LIMITS)("does not matter, nor do writes that fail, with %j", (limits) => {
    const options = renderOptions(limits);
    checkAll(300, [shuffled, steps], ([one, other], plan) => {
      const aggregator = createAggregator();
      other.forEach((alert, i) => {
        add(aggregator, alert);
        for (const [at, which, step] of plan) if (at === i) doStep(aggregator, which, step);
      });
      settle(aggregator);
      expect(JSON.stringify(renderReports(aggregator, options))).toBe(JSON.stringify(reports(one, options)));
    });
  });
});

function doStep(aggregator: Aggregator, which: number, step: Step): void {
  const ledgers = [...aggregator.ledgers.values()];
  const ledger = ledgers[which % Math.max(1, ledgers.length)];
  if (!ledger) return;
  if (step === "take") {
    if (!ledger.write.isInFlight) ledger.write.take();
  } else if (step === "render") {
    if (ledger.counts.written.occurrences > 0) renderReport(ledger, renderOptions());
  } else if (ledger.write.isInFlight) {
    ledger.write[step]();
  }
}

function settle(aggregator: Aggregator): void {
  for (const ledger of aggregator.ledgers.values()) if (ledger.write.isInFlight) ledger.write.restore();
}

it("growth never makes a count smaller", () => {
  const counts = [
    "occurrences",
    "prevented",
    "allowed",
    "unknown",
    "violations",
    "workloads",
    "pods",
    "nodes",
  ] as const;
  checkAll(100, [inputs], (alerts) => {
    const aggregator = createAggregator();
    const before = new Map<string, ReturnType<typeof renderReports>[number]>();
    for (const alert of alerts) {
      add(aggregator, alert);
      for (const report of renderReports(aggregator, renderOptions({ maxViolations: 2 }))) {
        const key = `${report.metadata.namespace}/${report.metadata.name}`;
        const old = before.get(key);
        before.set(key, report);
        if (!old) continue;
        for (const count of counts) {
          expect(report.summary[count], count).toBeGreaterThanOrEqual(old.summary[count]);
        }
        expect(report.summary.firstSeen <= old.summary.firstSeen).toBe(true);
        expect(report.summary.lastSeen >= old.summary.lastSeen).toBe(true);
        expect(report.coverage.throttleNotices).toBeGreaterThanOrEqual(old.coverage.throttleNotices);
      }
    }
  });
});

it("limits cut the worst ranked and nothing else: what was allowed outlives the rest, then the most recent", () => {
  const rank = { Allowed: 0, Unknown: 1, Prevented: 2 };
  checkAll(300, [inputs, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1500, max: 6000 })], (alerts, n, bytes) => {
    const all = reports(alerts as Alert[]);
    for (const [i, cut] of reports(alerts, renderOptions({ maxViolations: n, maxBytes: bytes })).entries()) {
      const whole = all[i]?.violations ?? [];
      const ranked = whole.toSorted(
        (a, b) =>
          rank[a.outcome] - rank[b.outcome] ||
          (a.lastSeen < b.lastSeen ? 1 : a.lastSeen > b.lastSeen ? -1 : a.id < b.id ? -1 : 1),
      );
      const best = new Set(ranked.slice(0, cut.violations.length).map(({ id }) => id));
      expect(cut.violations.filter(({ id }) => !best.has(id))).toEqual([]);
      expect(cut.violations.length).toBeLessThanOrEqual(n);
      expect(cut.summary).toEqual(all[i]?.summary);
      if (cut.violations.length > 0) {
        const { policy, summary, violations, omitted, coverage } = cut;
        const body = { policy, summary, violations, omitted, coverage };
        expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThanOrEqual(bytes);
      }
    }
  });
});

it("the memory bound loses no count and no sum", () => {
  checkAll(200, [inputs, fc.nat(5)], (alerts, maxViolations) => {
    const bounded = renderReports(addAll(createAggregator(maxViolations), alerts));
    const all = reports(alerts);
    const outcome = ({ summary }: (typeof all)[number]) => [
      summary.occurrences,
      summary.prevented,
      summary.allowed,
      summary.firstSeen,
      summary.lastSeen,
      summary.pods,
    ];
    expect(bounded.map(outcome)).toEqual(all.map(outcome));
    expect(bounded.reduce((n, { violations }) => n + violations.length, 0)).toBeLessThanOrEqual(maxViolations);
  });
});
