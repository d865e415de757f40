// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Work of one alert at the bounds: violations visited, not time.

import { expect, it, vi } from "vitest";
import { Distinct } from "../../../src/aggregate/counts/distinct.ts";
import { addPod, emptyTally, MAX_PODS } from "../../../src/aggregate/counts/tally.ts";
import { WorkloadShare } from "../../../src/aggregate/entries/workload-share.ts";
import { alert, formatTimeAt, toLetters } from "../../support/gen.ts";
import { add, createAggregator, persist } from "../ingest/fold-alerts.ts";

/** Runs `act` and returns the number of violations that it has visited for eviction. */
function countVisits(act: () => void): number {
  const visit = vi.spyOn(WorkloadShare.prototype, "visit");
  act();
  const visits = visit.mock.results.reduce((sum, { value }) => sum + value.length, 0);
  visit.mockRestore();
  return visits;
}

it("an alert at the memory bound has a bounded number of violations visited, however many there are", () => {
  const held = 6000;
  const aggregator = createAggregator(held);
  const send = (i: number) =>
    add(aggregator, alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, UpdatedTime: formatTimeAt(i) }));
  for (let i = 0; i < held; i++) send(i);
  expect(aggregator.stats.violations).toBe(held);
  let most = 0;
  let sum = 0;
  for (let i = held; i < held + 1000; i++) {
    const visits = countVisits(() => send(i));
    most = Math.max(most, visits);
    sum += visits;
  }
  expect(most).toBeLessThanOrEqual(1024);
  // Some hundred alerts share one eviction.
  expect(sum / 1000).toBeLessThan(8);
  expect(aggregator.stats.violations).toBeLessThanOrEqual(held);
  expect(aggregator.stats.withoutDetails).toBe(0);
  expect(aggregator.stats.unwritten).toBe(held + 1000);
});

it("finds the workload that holds the most without a visit to each", () => {
  const aggregator = createAggregator(3000);
  const of = (workload: string, i: number) =>
    add(aggregator, alert({ OwnerName: workload, Operation: "File", Resource: `/x/${toLetters(i)}` }));
  for (let i = 0; i < 1000; i++) for (const file of [1, 2]) of(`w-${toLetters(i)}`, file);
  for (let i = 0; i < 1000; i++) of("large", i);
  const before = aggregator.stats.violations;
  expect(before).toBe(3000);
  of("another", 1);
  expect(aggregator.stats.evicted).toBe(256);
  const [ledger] = aggregator.ledgers.values();
  const held = [...(ledger?.entries.values() ?? [])].filter(({ group }) => group?.workload.includes("large"));
  expect(held).toHaveLength(1000 - 256);
});

it("a pod more than a violation remembers has few others looked at", () => {
  const tally = emptyTally();
  const pods = 20_000;
  for (let i = 0; i < pods; i++) addPod(tally, `p${i}`, `p${i}`, "n", 1, i);
  expect(tally.pods.size).toBe(MAX_PODS);
  expect([tally.pods.has("p18999"), tally.pods.has("p19000")]).toEqual([false, true]);
  // Alerts of pods that are remembered, in turn with pods that are not.
  for (let i = 0; i < pods; i++) {
    const known = `p${pods - 1 - (i % 500)}`;
    addPod(tally, known, known, "n", 1, pods + 2 * i);
    addPod(tally, `q${i}`, `q${i}`, "n", 1, pods + 2 * i + 1);
  }
  expect(tally.pods.size).toBe(MAX_PODS);
  expect(tally.pods.has(`p${pods - 1}`)).toBe(true);
  expect(tally.pods.visits).toBeLessThan(4 * pods);
});

it("sets of subjects are metered, as long as their reports exist", () => {
  const aggregator = createAggregator();
  const before = aggregator.stats.bytes;
  let bytes = 0;
  const set = new Distinct((each) => {
    bytes += each;
  });
  for (let i = 0; i < 5000; i++) set.add(`pod-${i}`);
  expect(set.count).toBe(5000);
  expect(bytes).toBeGreaterThan(5000 * 8);
  set.clear();
  expect([bytes, set.count]).toEqual([0, 0]);
  for (let i = 0; i < 2000; i++) add(aggregator, alert({ PodName: `web-${toLetters(i)}` }));
  const [key] = aggregator.ledgers.keys();
  const ledger = aggregator.ledgers.get(key as string);
  expect(aggregator.stats.bytes - before - (ledger?.entries.size ?? 0)).toBeGreaterThan(2 * 2000 * 8);
  if (ledger) persist(ledger);
  expect(aggregator.drop(key as string)).toBe(true);
  expect(aggregator.stats.bytes).toBe(before);
});
