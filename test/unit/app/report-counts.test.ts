// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { afterEach, expect, it, vi } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { EntryMap } from "../../../src/aggregate/entries/entry-map.ts";
import { reportCounts } from "../../../src/app/report-counts.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { rebaseOn } from "../../../src/report/parse.ts";
import { renderReport } from "../../../src/report/render.ts";
import { alert, MEMORY, renderOptions, SEVERITY } from "../../support/gen.ts";
import { add } from "../ingest/fold-alerts.ts";

afterEach(() => vi.restoreAllMocks());

it("gives the severity of a report as rendered or read, with no look at its violations", () => {
  const aggregator = new Aggregator(MEMORY, () => {});
  for (const [resource, severity] of Object.entries({ a: "3", b: "8", c: "5" }))
    add(aggregator, alert({ Operation: "File", Resource: `/x/${resource}`, Severity: severity }));
  const [ledger] = aggregator.ledgers.values();
  if (!ledger) throw new Error("no ledger");
  ledger.write.take();
  const list = (of: Aggregator) =>
    [...reportCounts(of, SEVERITY)].map(({ severity, outcomes }) => [severity, outcomes.Prevented]);
  const scans = vi.spyOn(EntryMap.prototype, "values");
  expect([list(aggregator), scans.mock.calls.length]).toEqual([[], 0]);
  const report = buildReport(ledger, renderReport(ledger, renderOptions()), undefined, undefined);
  const next = new Aggregator(MEMORY, () => {});
  runAtOnce(rebaseOn(next.ledger(ledger.namespace, ledger.policyName), report));
  scans.mockClear();
  expect([list(aggregator), list(next)]).toEqual([[["high", 3]], [["high", 3]]]);
  expect(scans).not.toHaveBeenCalled();
});
