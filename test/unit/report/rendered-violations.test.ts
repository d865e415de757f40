// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rendering from parts gives what rendering from scratch gives, for the work of what has changed.

import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { toReportText } from "../../../src/api/report-text.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { workloadKey } from "../../../src/ingest/violation/violation.ts";
import type { ApiRequester, KubeRequest } from "../../../src/kube/client.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { rebaseOn } from "../../../src/report/parse.ts";
import { renderInSteps, renderReport } from "../../../src/report/render.ts";
import { RenderedViolations } from "../../../src/report/rendered-violations.ts";
import { createClusterSink } from "../../../src/sinks/cluster-sink.ts";
import { alert, checkAll, formatTimeAt, renderOptions, START_US, violation } from "../../support/gen.ts";
import { SIGNAL } from "../../support/signal.ts";

const VIOLATIONS = 300;
const WORKLOAD = workloadKey(violation().violation.identity);

afterEach(() => vi.restoreAllMocks());

function add(ledger: Ledger, i: number, ms: number, Severity = "5"): void {
  const name = Array.from(String(i), (digit) => "abcdefghij"[Number(digit)]).join("");
  const mods = { Operation: "File", Resource: `/etc/${name}`, UpdatedTime: formatTimeAt(ms), Severity };
  ledger.add(violation(alert(mods)), true);
}

function render(ledger: Ledger, rendered?: RenderedViolations, stored?: Report): Report {
  const body = renderReport(ledger, { ...renderOptions({ maxViolations: VIOLATIONS }), rendered });
  return buildReport(ledger, body, stored?.metadata, undefined);
}

it("a report of 300 violations of which one has changed is written for the work of one", async () => {
  const ledger = new Ledger("shop", "p");
  for (let i = 0; i < VIOLATIONS; i++) add(ledger, i, i);
  ledger.write.take();
  const rendered = new RenderedViolations();
  render(ledger, rendered);
  expect(rendered.rendered).toBe(VIOLATIONS);
  ledger.write.commit();
  add(ledger, 7, 1000);
  ledger.write.take();

  const requests: KubeRequest[] = [];
  const client: ApiRequester = {
    request: async <T>(each: KubeRequest) => {
      requests.push(each);
      return { metadata: { name: "p" } } as T;
    },
  };
  const sink = createClusterSink({ client, logger: silentLogger });
  const stringify = vi.spyOn(JSON, "stringify");
  const report = render(ledger, rendered);
  await sink.write(report, SIGNAL);
  const serialized = stringify.mock.results.reduce((sum, { value }) => sum + String(value).length, 0);
  vi.restoreAllMocks();
  expect(rendered.rendered).toBe(VIOLATIONS + 1);
  const text = JSON.stringify(report);
  expect(requests.map((each) => each.text)).toEqual([text]);
  expect(serialized).toBeLessThan(text.length / 20);
  expect(report).toEqual(render(ledger));
});

it("a report of 300 violations is made in steps, and ignores what comes between them", () => {
  const ledger = new Ledger("shop", "p");
  for (let i = 0; i < VIOLATIONS; i++) add(ledger, i, i);
  ledger.write.take();
  const whole = JSON.stringify(renderReport(ledger, renderOptions()));
  const steps = renderInSteps(ledger, renderOptions());
  let step = steps.next();
  let came = 0;
  let turns = 0;
  for (; !step.done; step = steps.next(), turns++) {
    // Of violations that are in the report, and of others.
    for (let i = 0; i < 100; i++) add(ledger, (came * 37) % (2 * VIOLATIONS), 1000 + came++);
  }
  expect(step.value.violations.length).toBe(VIOLATIONS);
  // No step has more than 32 violations.
  expect(turns).toBeGreaterThanOrEqual(VIOLATIONS / 32 - 1);
  expect(JSON.stringify(step.value)).toBe(whole);
});

describe("rendered violations", () => {
  it("are bounded: at the bound no further report is kept, until one is long not written", () => {
    const rendered = new RenderedViolations({ maxBytes: 100_000, maxTurns: 12 });
    const ledgers = Array.from({ length: 10 }, (_, n) => new Ledger("shop", `p-${n}`));
    const [first, last] = [ledgers[0] as Ledger, ledgers[9] as Ledger];
    const countRendered = (ledger: Ledger): number => {
      const before = rendered.rendered;
      render(ledger, rendered);
      expect(rendered.bytes).toBeLessThanOrEqual(100_000);
      return rendered.rendered - before;
    };
    for (const ledger of ledgers) {
      for (let i = 0; i < 20; i++) add(ledger, i, i);
      ledger.write.take();
      expect(countRendered(ledger)).toBe(20);
    }
    expect(countRendered(first)).toBe(0);
    expect(countRendered(last)).toBe(20);
    // The reports that are kept, but for the first, become idle.
    for (let i = 0; i < 12; i++) render(first, rendered);
    expect(countRendered(last)).toBe(20);
    expect(countRendered(last)).toBe(0);
    expect(countRendered(first)).toBe(0);
    for (const ledger of ledgers) rendered.delete(ledger);
    expect(rendered.bytes).toBe(0);
  });

  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ file: fc.nat(4), ms: fc.nat(50), severity: fc.constantFrom("", "2", "9") }) },
    { weight: 4, arbitrary: fc.constantFrom("write", "fail", "restart", "late", "delete", "evict", "expire") },
  );

  it("give the same bytes as rendering from scratch after any change of the report", () => {
    checkAll(200, [fc.array(step, { maxLength: 40 })], (steps) => {
      const ledger = new Ledger("shop", "p");
      const rendered = new RenderedViolations();
      const stored: Report[] = [];
      for (const each of steps) {
        if (typeof each === "object") {
          add(ledger, each.file, each.ms, each.severity);
          continue;
        }
        if (["delete", "restart", "late"].includes(each)) rendered.delete(ledger);
        const share = ledger.entries.getShare(WORKLOAD);
        if (each === "evict") share?.report.evict(share, 1, START_US);
        else if (each === "expire") runAtOnce(ledger.expire(START_US + 25_000));
        else if (each === "delete") runAtOnce(ledger.transfer.rebase(undefined));
        else if (each === "restart" && stored.length > 0) runAtOnce(rebaseOn(ledger, stored.at(-1)));
        // A state of the report that another writer has put back.
        else if (each === "late" && stored.length > 0) runAtOnce(rebaseOn(ledger, stored[0]));
        ledger.write.take();
        if (ledger.counts.written.occurrences > 0) {
          const report = render(ledger, rendered);
          expect(JSON.stringify(report)).toBe(JSON.stringify(render(ledger)));
          expect(toReportText(report)).toBe(JSON.stringify(report));
          if (each !== "fail") stored.push(structuredClone(report));
        }
        if (each === "fail") ledger.write.restore();
        else ledger.write.commit();
      }
    });
  });
});
