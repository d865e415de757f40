// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal under more changes than it can take in full: totals come first, so that a kill costs no more than the time
// since the last batch, and the report names that time.

import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { type Journal, JournalError } from "../../src/journal/journal.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { parseMicroTime } from "../../src/lib/time.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, PACE, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { type Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let store: MemorySink;
beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
});

const getPath = (name: string) => join(dir, `${name}.db`);
const open = (name: string) => createSqliteJournal({ path: getPath(name), maxBytes: 2 ** 28 });

/** The next process finds the files as the killed one left them. */
function copyFiles(from: string, to: string): void {
  for (const part of ["", "-wal"])
    if (existsSync(getPath(from) + part)) copyFileSync(getPath(from) + part, getPath(to) + part);
}

/** Sends alerts of one of 60 reports with 100 violations each; returns how many. */
async function sendFlood(simulation: Simulation, seconds: number, perSecond: number): Promise<number> {
  let sent = 0;
  for (let tick = 0; tick < seconds * 20; tick++) {
    for (let i = 0; i < perSecond / 20; i++) {
      const PolicyName = `p-${sent % 60}`;
      const Resource = `/srv/f${Math.floor(sent / 60) % 100}x`;
      const UpdatedTime = formatTimeAt(simulation.clock.nowMs() - START_MS);
      const fields = { PolicyName, Resource, UpdatedTime, Operation: "File", Source: "/bin/x", HostPID: ++sent };
      simulation.pipeline.onAlert(alert(fields), 0);
    }
    await simulation.clock.advance(50);
  }
  return sent;
}

it("a kill loses no more than one batch interval, also when more violations change than a batch holds", async () => {
  const first = await startSimulation({ store, journal: open("0") });
  await first.pipeline.controller.suspend();
  const sent = await sendFlood(first, 1, 8000);
  expect(first.journaling?.waiting).toBeGreaterThan(1000);
  copyFiles("0", "1");
  const killedMs = first.clock.nowMs();
  const second = await startSimulation({ store, journal: open("1"), clock: new FakeClock(killedMs + 1000) });
  expect(sent - (second.journaling?.stats.recovered ?? 0)).toBeLessThanOrEqual(8000 * 0.1);
  expect(killedMs - (second.journaling?.previous.readUntilMs ?? 0)).toBeLessThanOrEqual(100);
  await second.clock.advance(60_000);
  await second.stop();
  for (const { summary, violations, coverage } of store.reports) {
    const gap = coverage.recent?.find(({ kind }) => kind === "NotRunning");
    expect((parseMicroTime(gap?.from ?? "") ?? 0) / 1000).toBeGreaterThan(killedMs - 100);
    const listed = violations.reduce((sum, { occurrences }) => sum + occurrences, 0);
    // Missing details may be of any violation.
    expect(violations.every(({ lowerBound }) => lowerBound ?? false)).toBe(listed < summary.occurrences);
  }
});

it("a full journal holds back nothing, and its gap begins where it held everything last", async () => {
  let isFull = false;
  let largest = 0;
  const limited = (name: string) => (): Journal => {
    const journal = open(name)();
    return {
      recovered: journal.recovered,
      lost: journal.lost,
      bytes: 0,
      begin: (life) => journal.begin(life),
      reserve: (seq) => journal.reserve(seq),
      readViolations: (report, seq, after) => journal.readViolations(report, seq, after),
      close: () => journal.close(),
      discard: () => journal.discard(),
      write: (batch) => {
        largest = Math.max(largest, batch.changes.length);
        if (isFull && batch.changes.some(({ layers }) => layers.length > 0)) throw new JournalError("full", "no room");
        journal.write(batch);
      },
    };
  };
  const pace = { ...PACE, maxIntervalMs: 5000 };
  const first = await startSimulation({ store, journal: limited("0"), options: { pace } });
  await sendFlood(first, 1, 1200);
  const fullMs = first.clock.nowMs();
  isFull = true;
  await sendFlood(first, 12, 200);
  expect(largest).toBeLessThanOrEqual(60);
  copyFiles("0", "1");
  const second = await startSimulation({ store, journal: open("1"), clock: new FakeClock(first.clock.nowMs() + 1000) });
  expect(second.journaling?.previous.readUntilMs).toBeLessThanOrEqual(fullMs);
});
