// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The same alerts in any order, written in any batches: the same bytes.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { readSampleAlerts } from "../../tools/samples.ts";
import { generateWorldAlert } from "../support/alert-generators.ts";
import { alert, checkAllAsync } from "../support/gen.ts";
import { startSimulation } from "./pipeline-simulation.ts";

/** Content of a report that does not depend on the run. */
function pickBody({ policy, summary, violations, omitted, expired, coverage }: Report): unknown {
  return { policy, summary, violations, omitted, expired, coverage };
}

async function reportInBatches(batches: readonly (readonly Alert[])[]): Promise<string> {
  const s = await startSimulation();
  for (const batch of batches) {
    for (const alert of batch) s.pipeline.onAlert(alert, 0);
    await s.clock.advance(10_000);
  }
  await s.stop();
  return JSON.stringify(s.store.reports.map(pickBody));
}

/** The alerts in another order, cut at some places. */
function cutIntoBatches(alerts: readonly Alert[]): fc.Arbitrary<Alert[][]> {
  const order = fc.shuffledSubarray([...alerts], { minLength: alerts.length, maxLength: alerts.length });
  const cuts = fc.array(fc.nat(alerts.length), { maxLength: 4 });
  return fc.tuple(order, cuts).map(([shuffled, at]) => {
    const bounds = [0, ...at.toSorted((a, b) => a - b), shuffled.length];
    return bounds.slice(1).map((end, i) => shuffled.slice(bounds[i], end));
  });
}

/** Repeated deliveries are equal in every byte; two actions differ in their process. */
function withDuplicates(alerts: readonly Alert[]): Alert[] {
  const actions = alerts.map((alert, i) => ({ ...alert, HostPID: 1000 + i }));
  return [...actions, ...actions.filter((_, i) => i % 5 === 0)];
}

it("the same alerts in any order and any batches give byte-identical reports", async () => {
  await checkAllAsync(
    60,
    [
      fc
        .array(generateWorldAlert(), { minLength: 1, maxLength: 30 })
        .map(withDuplicates)
        .chain((alerts) => fc.tuple(fc.constant(alerts), cutIntoBatches(alerts))),
    ],
    async ([alerts, batches]) => {
      expect(await reportInBatches(batches)).toBe(await reportInBatches([alerts]));
    },
  );
});

it("so do the sample alerts, with all of their evidence and the notice among them", async () => {
  // An alert without a time of its own has that of its arrival.
  const dated = (alert: Alert) => ({ ...alert, UpdatedTime: alert.UpdatedTime || "2023-08-23T18:08:09.000000Z" });
  const samples = readSampleAlerts().map(dated);
  const whole = await reportInBatches([samples]);
  expect(whole).toContain('"execId"');
  await checkAllAsync(30, [cutIntoBatches(samples)], async (batches) => {
    expect(await reportInBatches(batches)).toBe(whole);
  });
});

it.each([
  { windowMs: 1000, maxEntries: 1000 },
  { windowMs: 1_000_000, maxEntries: 2 },
])("an alert that arrives again is counted twice beyond $windowMs ms and $maxEntries alerts", async (duplicates) => {
  const s = await startSimulation({ options: { duplicates } });
  for (const PID of [1, 1, 2, 3, 1]) await s.sendAndWait(1000, alert({ PID }));
  expect(s.pipeline.counters).toMatchObject({ counted: 4, duplicates: 1 });
});
