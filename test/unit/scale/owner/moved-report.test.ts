// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a namespace that is gone move to the cluster report in steps, and arrive with their position.

import { expect, it, vi } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { ReportEntries } from "../../../../src/aggregate/ledger/report-entries.ts";
import { reportKey } from "../../../../src/ingest/violation/violation.ts";
import { silentLogger as logger } from "../../../../src/lib/logger.ts";
import { parseMoved } from "../../../../src/reconcile/namespaces/moved-annotation.ts";
import { MovedCounts } from "../../../../src/scale/owner/moved-counts.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { alert, MEMORY, renderOptions, toLetters, violation } from "../../../support/gen.ts";
import { MemorySink } from "../../../support/memory-sink.ts";
import { SIGNAL } from "../../../support/signal.ts";

const HELD = 3000;
const STREAM = "stream-1";

it("visits a bounded number of violations in a step, and stores their position with all of them", async () => {
  const clock = new FakeClock();
  const sink = new MemorySink();
  const aggregator = new Aggregator(MEMORY, () => {});
  for (let i = 0; i < HELD; i++)
    aggregator.add(violation(alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, PolicyName: "p" })));
  const [ledger] = aggregator.ledgers.values();
  if (!ledger) throw new Error("no report began");
  const moved = new MovedCounts(0, {
    ...{ sink, clock, logger, stream: STREAM, partition: { index: 0, count: 1 }, marks: new Map(), policies: [] },
    hasLedger: (key) => aggregator.ledgers.has(key),
    getPosition: () => 7,
    render: renderOptions,
    onResult: () => {},
    onWritten: async () => {},
    onMovedByAnother: () => {},
    signal: SIGNAL,
  });
  const visits = vi.spyOn(ReportEntries.prototype, "remove");
  const ofSteps: number[] = [];
  vi.spyOn(clock, "turn").mockImplementation(async () => {
    ofSteps.push(visits.mock.calls.length - ofSteps.reduce((sum, each) => sum + each, 0));
  });
  aggregator.detach(reportKey(ledger.namespace, ledger.policyName));
  moved.take(ledger);
  expect([visits.mock.calls.length, [...moved.pending]]).toEqual([0, ["p"]]);
  await clock.advance(1000);
  expect([Math.max(...ofSteps), visits.mock.calls.length]).toEqual([32, HELD]);
  const [report] = sink.reports;
  expect([sink.writes, report?.summary.occurrences, [...moved.pending]]).toEqual([1, HELD, []]);
  expect([...parseMoved(report?.metadata, STREAM)]).toEqual([[ledger.namespace, 7]]);
});
