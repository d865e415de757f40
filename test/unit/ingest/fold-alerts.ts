// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The core without a controller: alerts in, reports out. What tests of rendering, limits and order are made of.

import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import type { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import type { Alert } from "../../../src/api/alert.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { CellStore } from "../../../src/ingest/cells/cell-store.ts";
import { decode } from "../../../src/ingest/decode.ts";
import { AlertEvidence } from "../../../src/ingest/evidence/evidence.ts";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { type RenderOptions, renderReport } from "../../../src/report/render.ts";
import { MEMORY, renderOptions, START_US } from "../../support/gen.ts";

const redact = createRedactor();
/** Time of arrival of everything: later than any alert of the tests. */
const ARRIVAL_US = START_US + 24 * 3_600_000_000;

export function createAggregator(maxViolations = 200_000, cells?: CellStore): Aggregator {
  return new Aggregator({ ...MEMORY, maxViolations }, () => {}, undefined, { cells });
}

/** Adds an alert; returns what it was taken for. */
export function add(aggregator: Aggregator, alert: Alert): "violation" | "throttle" | "rejected" {
  const decoded = decode(alert, ARRIVAL_US, redact);
  if (decoded.kind === "violation")
    aggregator.add({ ...decoded, source: new AlertEvidence(alert, decoded.activity, redact) });
  if (decoded.kind === "throttle") aggregator.addThrottleNotice(decoded.notice);
  return decoded.kind;
}

export function addAll(aggregator: Aggregator, alerts: readonly Alert[]): Aggregator {
  for (const alert of alerts) add(aggregator, alert);
  return aggregator;
}

/** A write of what is pending that succeeds. */
export function persist({ write }: Ledger): void {
  write.take();
  write.commit();
}

/** Every report as it would be written now, by scope and name. What was pending is committed. */
export function renderReports(aggregator: Aggregator, options: RenderOptions = renderOptions()): Report[] {
  return [...aggregator.ledgers.keys()].sort().flatMap((key) => {
    const ledger = aggregator.ledgers.get(key);
    if (!ledger) return [];
    ledger.write.take();
    const report =
      ledger.counts.written.occurrences === 0
        ? undefined
        : buildReport(ledger, renderReport(ledger, options), undefined, undefined);
    ledger.write.commit();
    return report ? [report] : [];
  });
}

/** The reports of these alerts. */
export function reports(alerts: readonly Alert[], options?: RenderOptions): Report[] {
  return renderReports(addAll(createAggregator(), alerts), options);
}

/** The only report of these alerts. */
export function report(alerts: readonly Alert[], options?: RenderOptions): Report {
  const [first, ...others] = reports(alerts, options);
  if (!first || others.length > 0) throw new Error(`expected one report, got ${others.length + (first ? 1 : 0)}`);
  return first;
}
