// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a shard are drained, and divided into messages, in steps; alerts that arrive between them are counted once.

import { expect, it, vi } from "vitest";
import { ReportEntries } from "../../../../src/aggregate/ledger/report-entries.ts";
import { runAtOnce } from "../../../../src/lib/pacing/steps.ts";
import { countOccurrences, type DeltaContents } from "../../../../src/scale/messages/delta.ts";
import { packReports } from "../../../../src/scale/messages/delta-split.ts";
import { ShardCounts } from "../../../../src/scale/reader/shard-counts.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { alert, MEMORY, toLetters } from "../../../support/gen.ts";

const HELD = 3000;
const MESSAGE_BYTES = 100_000;

function createCounts(duplicates = { windowMs: 0, maxEntries: 0 }, clock = new FakeClock()): ShardCounts {
  const memory = { ...MEMORY, maxReportsPerNamespace: 2 * HELD };
  const options = { memory, duplicates, redaction: {}, partitions: 1 };
  return new ShardCounts(options, { clock, getPartition: () => 0, onRejected: () => {} });
}

it.each([
  ["of one report", () => ({})],
  ["of a report for each", (i: number) => ({ PolicyName: `p-${toLetters(i)}` })],
])("violations %s are visited, and turned into JSON, in bounded steps", (_what, more) => {
  const counts = createCounts();
  const send = (i: number) =>
    counts.onAlert(alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, ...more(i % HELD) }), 0);
  for (let i = 0; i < HELD; i++) send(i);
  const visits = vi.spyOn(ReportEntries.prototype, "remove");
  const steps = counts.drain(0);
  let sent = HELD;
  let contents: DeltaContents | undefined;
  for (let before = 0; !contents; before = visits.mock.calls.length) {
    const { done, value } = steps.next();
    expect(visits.mock.calls.length - before).toBeLessThanOrEqual(33);
    if (done) contents = value;
    // One of a kind that waits, or was taken, and a new one.
    else for (const i of [sent % HELD, sent + 1]) send(i);
    if (!contents) sent += 2;
  }
  visits.mockRestore();
  const rest = runAtOnce(counts.drain(0));
  expect(countOccurrences(contents.reports) + countOccurrences(rest.reports)).toBe(sent);
  expect([counts.counters.counted, counts.pending]).toEqual([sent, 0]);
  const toJson = vi.spyOn(JSON, "stringify");
  const packing = packReports(contents.reports, MESSAGE_BYTES);
  for (let before = 0, isDone = false; !isDone; before = toJson.mock.calls.length) {
    isDone = packing.next().done === true;
    expect(toJson.mock.calls.length - before).toBeLessThanOrEqual(2 * 64);
  }
  toJson.mockRestore();
});

it("equal alerts are counted once within the configured time and number", async () => {
  const clock = new FakeClock();
  const counts = createCounts({ windowMs: 1000, maxEntries: 100 }, clock);
  const send = (PID: number) => counts.onAlert(alert({ PID }), 0);
  for (const PID of [1, 2, 3]) {
    send(PID);
    await clock.advance(300);
  }
  send(1);
  expect(counts.counters).toMatchObject({ counted: 3, duplicates: 1 });
});
