// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers of distinct violations, occurrences without details and the severity, under cut lists, eviction, expiry,
// deletion and restarts: never above the truth, and exact where nothing was cut from memory.

import fc from "fast-check";
import { expect, it } from "vitest";
import { findContradiction } from "../../plugin/src/reports/sources/report-schema.ts";
import { Ledger } from "../../src/aggregate/ledger/ledger.ts";
import type { ReportBody } from "../../src/api/v1alpha1.ts";
import { workloadKey } from "../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../src/lib/pacing/steps.ts";
import { buildReport } from "../../src/reconcile/write-attempt.ts";
import { rebaseOn } from "../../src/report/parse.ts";
import { renderReport } from "../../src/report/render.ts";
import { alert, checkAll, renderOptions, START_US, violation } from "../support/gen.ts";

type Step =
  | { kind: "alert"; file: number; severity: number; identify: boolean }
  | { kind: "evict"; count: number }
  | { kind: "expire" }
  | { kind: "delete" }
  | { kind: "restart" }
  | { kind: "fail" };

const DAY_MS = 86_400_000;
const RETENTION_MS = 3 * DAY_MS;
const WORKLOAD = workloadKey(violation().violation.identity);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("alert" as const),
      file: fc.nat(4),
      severity: fc.constantFrom(2, 5, 9),
      identify: fc.constantFrom(true, true, true, false),
    }),
  },
  fc.record({ kind: fc.constant("evict" as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.constant({ kind: "expire" as const }),
  fc.constant({ kind: "delete" as const }),
  fc.constant({ kind: "restart" as const }),
  fc.constant({ kind: "fail" as const }),
);

/** The truth of one report: a violation that returns after it expired is another one. */
class Truth {
  occurrences = 0;
  expired = 0;
  /** Severity of the newest alert of each violation that has not expired. */
  readonly live = new Map<string, { severity: number; us: number }>();

  clear(): void {
    this.occurrences = 0;
    this.expired = 0;
    this.live.clear();
  }

  get violations(): number {
    return this.live.size + this.expired;
  }

  get severity(): number {
    return Math.max(0, ...[...this.live.values()].map(({ severity }) => severity));
  }
}

class Run {
  ledger = new Ledger("shop", "p");
  readonly truth = new Truth();
  readonly #options: ReturnType<typeof renderOptions>;
  #day = 0;
  /** True once not every counted violation is in memory. */
  #isCut = false;

  constructor(maxViolations: number) {
    this.#options = renderOptions({ maxViolations });
  }

  runStep(step: Step): void {
    this.#day++;
    switch (step.kind) {
      case "alert":
        this.#add(step.file, step.severity, step.identify);
        break;
      case "evict":
        this.#evict(step.count);
        break;
      case "expire":
        this.#expire();
        break;
      case "delete":
        runAtOnce(this.ledger.transfer.rebase(undefined, this.#nowUs));
        this.truth.clear();
        this.#isCut = false;
        break;
      case "restart":
        this.#restart();
        break;
      case "fail":
        this.ledger.write.take();
        if (this.ledger.counts.written.occurrences > 0) this.#check();
        this.ledger.write.restore();
    }
    this.#write();
  }

  get #nowUs(): number {
    return START_US + this.#day * DAY_MS * 1000;
  }

  #add(file: number, severity: number, identify: boolean): void {
    const mods = { Operation: "File", Resource: `/etc/f${"x".repeat(file)}`, Severity: String(severity) };
    const occurrence = { ...violation(alert(mods)), timeUs: this.#nowUs };
    if (!this.ledger.add(occurrence, identify)) this.#isCut = true;
    this.truth.occurrences++;
    this.truth.live.set(occurrence.violation.key, { severity, us: occurrence.timeUs });
  }

  #evict(count: number): void {
    const share = this.ledger.entries.getShare(WORKLOAD);
    if (share && share.report.evict(share, count, this.#nowUs) > 0) this.#isCut = true;
  }

  #expire(): void {
    const beforeUs = this.#nowUs - RETENTION_MS * 1000;
    const before = [...this.ledger.entries.values()].map(({ key }) => key);
    runAtOnce(this.ledger.expire(beforeUs));
    for (const key of before) {
      if (this.ledger.entries.has(key)) continue;
      this.truth.live.delete(key);
      this.truth.expired++;
    }
  }

  #restart(): void {
    if (this.truth.occurrences === 0) return;
    const body = renderReport(this.ledger, this.#options);
    const stored = buildReport(this.ledger, body, undefined, undefined);
    this.ledger = new Ledger("shop", "p");
    runAtOnce(rebaseOn(this.ledger, stored));
    if (body.omitted) this.#isCut = true;
    this.#check();
  }

  #write(): void {
    this.ledger.write.take();
    if (this.ledger.counts.written.occurrences > 0) this.#check();
    this.ledger.write.commit();
  }

  #check(): void {
    const { truth } = this;
    const body = renderReport(this.ledger, this.#options);
    const { policy, summary, omitted, coverage } = body;
    expect(summary.occurrences).toBe(truth.occurrences);
    expect(coverage.withoutDetails ?? 0).toBeLessThanOrEqual(omitted?.occurrences ?? 0);
    expect(omitted?.violations ?? 0).toBeLessThanOrEqual(omitted?.occurrences ?? 0);
    expectSums(body);
    expect(findContradiction(buildReport(this.ledger, body, undefined, undefined))).toBeUndefined();
    expect(summary.violations).toBeLessThanOrEqual(truth.violations);
    if (this.#isCut) return;
    expect(summary.violations).toBe(truth.violations);
    expect(policy.severity ?? 0).toBe(truth.severity);
  }
}

function expectSums({ summary, violations, omitted, expired }: ReportBody): void {
  const away = (omitted?.violations ?? 0) + (expired?.violations ?? 0);
  expect(violations.length + away).toBe(summary.violations);
  const listed = violations.reduce((sum, { occurrences }) => sum + occurrences, 0);
  expect(listed + (omitted?.occurrences ?? 0) + (expired?.occurrences ?? 0)).toBe(summary.occurrences);
}

it.each([300, 2])("holds with lists of up to %d violations", (maxViolations) => {
  checkAll(150, [fc.array(step, { minLength: 1, maxLength: 30 })], (steps) => {
    const run = new Run(maxViolations);
    for (const each of steps) run.runStep(each);
  });
});
