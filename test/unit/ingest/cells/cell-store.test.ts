// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Cells through ingest and aggregator: what is remembered, for how long, and how much work an alert is.

import { expect, it, vi } from "vitest";
import { runAtOnce } from "../../../../src/lib/pacing/steps.ts";
import { formatTimeAt, START_MS } from "../../../support/gen.ts";
import { createBed } from "../cell-bed.ts";
import { persist, renderReports } from "../fold-alerts.ts";

const FILE = { Operation: "File", Resource: "/etc/shadow" };

it("decodes the first alert of each kind only, however many kinds there are", () => {
  const { aggregator, cells, counters, reader, send } = createBed({ maxCells: 30_000, maxBytes: 100_000_000 });
  const kinds = 20_000;
  for (let i = 0; i < kinds; i++) send({ PodName: `web-${i}` });
  const before = reader.reads;
  for (let i = 0; i < kinds; i++) send({ PodName: `web-${i}`, UpdatedTime: formatTimeAt(1 + i) });
  expect([before, reader.reads, cells.size]).toEqual([kinds, kinds, kinds]);
  expect(counters.counted).toBe(2 * kinds);
  expect(aggregator.stats.unwritten).toBe(2 * kinds);
});

it("reads no evidence to order alerts of the same second", () => {
  const { aggregator, reader, send } = createBed();
  for (let i = 0; i < 1000; i++) send(FILE, { UpdatedTime: "", Timestamp: START_MS / 1000, PID: 1 + (i % 7) });
  expect(aggregator.stats.unwritten).toBe(1000);
  expect(reader.reads).toBe(1);
});

it("keeps as evidence the newest alert, as it was when its counts were taken", () => {
  const { aggregator, send } = createBed();
  send(FILE, { UpdatedTime: formatTimeAt(5), PID: 5 });
  send(FILE, { UpdatedTime: formatTimeAt(3), PID: 3 });
  const ledger = aggregator.ledger("shop", "no-package-managers");
  ledger.write.take();
  send(FILE, { UpdatedTime: formatTimeAt(9), PID: 9, ContainerID: "other" });
  expect(aggregator.stats.unwritten).toBe(3);
  const [taken] = ledger.write.entries;
  expect(taken?.inFlight?.latest?.read()).toMatchObject({ pid: 5, containerId: "c0ffee", time: formatTimeAt(5) });
  ledger.write.commit();
  const latest = renderReports(aggregator)[0]?.violations[0]?.latest;
  expect(latest).toMatchObject({ pid: 9, containerId: "other", time: formatTimeAt(9) });
});

it("takes the counts of many cells in steps, and those that come meanwhile later", () => {
  const { aggregator, cells, send } = createBed({ maxCells: 30_000, maxBytes: 100_000_000 });
  const kinds = 5000;
  for (let i = 0; i < kinds; i++) send({ PodName: `web-${i}`, UpdatedTime: formatTimeAt(1) });
  const ledger = aggregator.ledger("shop", "no-package-managers");
  const takes = vi.spyOn(cells, "take");
  let most = 0;
  let steps = 0;
  for (const _ of ledger.write.takeCells()) {
    most = Math.max(most, takes.mock.calls.length);
    takes.mockClear();
    send({ PodName: `web-${steps++}`, UpdatedTime: formatTimeAt(2) });
  }
  expect(most).toBeLessThanOrEqual(512);
  expect(steps).toBeGreaterThan(kinds / 512 - 1);
  expect([aggregator.stats.unwritten, takes.mock.calls.length < 1024]).toEqual([kinds + steps, true]);
});

it("takes the counts of a cell before an alert of another hour is counted in it", () => {
  const { aggregator, send } = createBed();
  const hour = 3_600_000;
  for (const ms of [1, hour - 1, hour, 2]) send(FILE, { UpdatedTime: formatTimeAt(ms), PID: ms });
  expect(aggregator.stats.unwritten).toBe(4);
  expect(renderReports(aggregator)[0]?.violations[0]).toMatchObject({
    firstSeen: formatTimeAt(1),
    lastSeen: formatTimeAt(hour),
  });
});

it("forgets at its bounds the cells that were not used of late, after their counts were taken", () => {
  const { aggregator, cells, reader, send } = createBed({ maxCells: 10, maxBytes: 10_000_000 });
  for (let i = 0; i < 200; i++) {
    send(FILE, { PodName: "busy", UpdatedTime: formatTimeAt(i) });
    send(FILE, { PodName: `web-${i}`, UpdatedTime: formatTimeAt(i) });
  }
  expect(cells.size).toBe(10);
  // The busy one is forgotten now and then at most.
  expect(reader.reads).toBeLessThan(250);
  expect(aggregator.stats.unwritten).toBe(400);
  expect(renderReports(aggregator)[0]?.violations[0]).toMatchObject({ occurrences: 400, lastSeen: formatTimeAt(199) });
});

it("forgets cells with the violations that they count for, and their memory", () => {
  const { aggregator, cells, send } = createBed();
  send();
  const empty = cells.bytes;
  for (let i = 0; i < 50; i++) send(FILE, { Resource: `/etc/${"x".repeat(i + 1)}` });
  expect(cells.bytes).toBeGreaterThan(empty);
  expect(aggregator.stats.bytes).toBeGreaterThan(cells.bytes);
  const ledger = aggregator.ledger("shop", "no-package-managers");
  persist(ledger);
  runAtOnce(ledger.transfer.rebase(undefined));
  expect(cells.size).toBe(0);
  send({ UpdatedTime: formatTimeAt(1) });
  expect(aggregator.stats.unwritten).toBe(1);
});

it("counts on without details where there is no room for a violation, and decodes it once", () => {
  const { aggregator, counters, reader, send } = createBed(undefined, 1);
  send();
  for (let i = 0; i < 10; i++) send(FILE, { UpdatedTime: formatTimeAt(i), PID: 1 + i });
  expect(counters.counted).toBe(11);
  expect(aggregator.stats).toMatchObject({ withoutDetails: 10, unwritten: 11 });
  expect(reader.reads).toBe(2);
});
