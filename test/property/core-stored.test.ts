// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A report read back is the report that was written, and counts go on from it as if nothing had been in between.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Aggregator } from "../../src/aggregate/aggregator.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { Report, SeverityLevel } from "../../src/api/v1alpha1.ts";
import { runAtOnce } from "../../src/lib/pacing/steps.ts";
import { rebaseOn } from "../../src/report/parse.ts";
import { renderReport } from "../../src/report/render.ts";
import { generateHostileAlert, generateWorldAlert, generateWorldNotice } from "../support/alert-generators.ts";
import { checkAll, renderOptions, START_US } from "../support/gen.ts";
import { addAll, createAggregator, renderReports, reports } from "../unit/ingest/fold-alerts.ts";
import { findFaults } from "../unit/report/report-check.ts";

const inputs = fc.array(
  fc.oneof({ arbitrary: generateWorldAlert(), weight: 8 }, { arbitrary: generateWorldNotice(), weight: 1 }),
  { minLength: 1, maxLength: 30 },
);
const LIMITS = [{}, { maxViolations: 2 }, { maxBytes: 4000 }, { maxPodsPerViolation: 1 }] as const;

/** As the API server gives it back: other objects, and keys in another order. */
function toServerForm(report: Report): Report {
  const turned = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turned);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([k, v]) => [k, turned(v)]),
    );
  };
  return turned(JSON.parse(JSON.stringify(report))) as Report;
}

/** A process that starts with these reports. */
function restart(stored: readonly Report[]): Aggregator {
  const aggregator = createAggregator();
  for (const report of stored.map(toServerForm)) {
    const ledger = aggregator.ledger(report.metadata.namespace, report.policy.name);
    runAtOnce(rebaseOn(ledger, report));
  }
  return aggregator;
}

describe("a report that is read back", () => {
  it.each(LIMITS)("is rendered as it was, with %j", (limits) => {
    const options = renderOptions(limits);
    checkAll(150, [inputs], (alerts) => {
      const stored = reports(alerts, options);
      expect(renderReports(restart(stored), options)).toEqual(stored);
    });
  });

  it("is rendered as it was for hostile alerts", () => {
    checkAll(200, [fc.array(generateHostileAlert(), { minLength: 1, maxLength: 10 })], (alerts) => {
      const stored = reports(alerts);
      expect(renderReports(restart(stored))).toEqual(stored);
    });
  });
});

describe("a report that was continued and is read back once more", () => {
  it.each(LIMITS)("is rendered as it was, with %j", (limits) => {
    const options = renderOptions(limits);
    checkAll(150, [inputs, inputs], (before, after) => {
      const continued = renderReports(addAll(restart(reports(before, options)), after), options);
      expect(renderReports(restart(continued), options)).toEqual(continued);
    });
  });
});

describe("counts that go on", () => {
  it.each(LIMITS)("from a stored report, are exact, with %j", (limits) => {
    const options = renderOptions(limits);
    checkAll(150, [inputs, inputs], (before, after) => {
      const stored = reports(before, options);
      const went = renderReports(addAll(restart(stored), after), options);
      const whole = reports([...before, ...after], options);
      expectExact(went, whole, stored);
      expect(went.flatMap(findFaults)).toEqual([]);
    });
  });

  it("with any alerts before the stored report was known", () => {
    checkAll(150, [inputs, inputs, fc.boolean()], (before, early, isInFlight) => {
      const stored = reports(before, renderOptions({ maxViolations: 2 }));
      const aggregator = addAll(createAggregator(), early);
      if (isInFlight) for (const ledger of aggregator.ledgers.values()) ledger.write.take();
      for (const report of stored) {
        const ledger = aggregator.ledger(report.metadata.namespace, report.policy.name);
        runAtOnce(rebaseOn(ledger, report));
      }
      if (isInFlight)
        for (const ledger of aggregator.ledgers.values()) if (ledger.write.isInFlight) ledger.write.commit();
      const went = renderReports(aggregator);
      expectExact(went, reports([...before, ...early]), stored);
      expect(went.flatMap(findFaults)).toEqual([]);
      for (const report of went) {
        const old = stored.find((each) => key(each) === key(report));
        const known = new Set(old?.violations.map(({ id }) => id));
        // A violation cut from the stored list may be this one.
        for (const violation of report.violations) {
          if (old?.omitted && !known.has(violation.id)) expect(violation.lowerBound).toBe(true);
        }
      }
    });
  });
});

function key(report: Report): string {
  return `${report.metadata.namespace}/${report.metadata.name}`;
}

const LEVELS: readonly SeverityLevel[] = ["unknown", "info", "low", "medium", "high", "critical"];

/**
 * The severity is an upper bound where the stored list is cut: the severities of violations that it leaves out are not
 * known one by one.
 */
function expectExact(went: readonly Report[], whole: readonly Report[], stored: readonly Report[]): void {
  const isCut = (r: Report) => stored.some((old) => key(old) === key(r) && old.omitted);
  const facts = (r: Report) => [key(r), isCut(r) ? { ...pickExact(r), severity: "" } : pickExact(r)] as const;
  expect(new Map(went.map(facts))).toEqual(new Map(whole.map(facts)));
  const levels = new Map(whole.map((r) => [key(r), LEVELS.indexOf(r.summary.severity)]));
  for (const r of went) {
    expect(LEVELS.indexOf(r.summary.severity)).toBeGreaterThanOrEqual(levels.get(key(r)) ?? 0);
  }
}

/** Parts that no restart may change, with any limits. */
function pickExact({ summary }: Report): object {
  const { occurrences, prevented, allowed, unknown, severity, firstSeen, lastSeen, history } = summary;
  return { occurrences, prevented, allowed, unknown, severity, firstSeen, lastSeen, history };
}

describe("a stored report that was edited by hand", () => {
  const summary = (fields: object) => (report: Report) => Object.assign(report.summary, fields);
  const first = (fields: object) => (report: Report) => Object.assign(report.violations[0] ?? {}, fields);
  const without = (name: keyof Report) => (report: Report) => Reflect.deleteProperty(report, name);
  const edits: readonly (readonly [string, (report: Report) => unknown])[] = [
    ["no summary", without("summary")],
    ["no coverage", without("coverage")],
    ["no violations", without("violations")],
    ["omitted gone", without("omitted")],
    ["an empty list", (report) => report.violations.splice(0)],
    ["the same violation twice", ({ violations }) => violations.push(...structuredClone(violations))],
    ["a count below its parts", summary({ occurrences: 0 })],
    ["counts of zero", summary({ occurrences: 0, prevented: 0, allowed: 0, unknown: 0 })],
    ["an invalid count", summary({ occurrences: Number.NaN })],
    ["a negative count", summary({ prevented: -5 })],
    ["a huge count", summary({ prevented: 2 ** 60 })],
    ["times before the epoch", summary({ firstSeen: "1900-01-01T00:00:00Z", lastSeen: "x" })],
    ["no times in the list", first({ firstSeen: "", lastSeen: "" })],
    ["an id that is not the violation's", first({ id: "0" })],
  ];

  it.each(edits)("(%s) is still continued with a report that the server takes", (_name, edit) => {
    checkAll(
      40,
      [fc.array(generateWorldAlert(), { minLength: 1, maxLength: 8 }), generateWorldAlert()],
      (before, next) => {
        const alerts = before.map((alert): Alert => ({ ...alert, NamespaceName: "shop", PolicyName: "p1" }));
        const stored = structuredClone(reports(alerts));
        for (const report of stored) edit(report);
        const aggregator = createAggregator();
        for (const report of stored) {
          const ledger = aggregator.ledger(report.metadata.namespace, report.policy.name);
          runAtOnce(rebaseOn(ledger, report));
          ledger.gaps.addGap("NotRunning", START_US);
        }
        addAll(aggregator, [{ ...next, NamespaceName: "shop", PolicyName: "p1" }]);
        for (const ledger of aggregator.ledgers.values()) {
          ledger.write.take();
          renderReport(ledger, renderOptions());
          ledger.write.commit();
        }
        expect(renderReports(aggregator).flatMap(findFaults)).toEqual([]);
      },
    );
  });
});
