// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A process that is killed with counts in its journal: what the next one writes first has the counts and the gap.

import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { CoverageGapEntry, Report } from "../../src/api/v1alpha1.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { Fault, Kill } from "../support/fault-sink.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { copyJournal } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const STORED = "shop/no-package-managers";
const DOWN_MS = 5000;

let dir: string;
let store: MemorySink;
let lives: number;
beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
  lives = 0;
});

/** The next life, with the journal as the one before left it. */
function begin(before?: Simulation, faults?: ReadonlyMap<number, Fault | Kill>): Simulation {
  const path = join(dir, `${lives}.db`);
  if (before) {
    copyJournal(join(dir, `${lives - 1}.db`), path);
  }
  lives++;
  return new Simulation({
    store,
    journal: createSqliteJournal({ path, maxBytes: 2 ** 24 }),
    clock: new FakeClock(before ? before.clock.nowMs() + DOWN_MS : START_MS),
    ...(faults ? { faults } : {}),
  });
}

function send(simulation: Simulation, PolicyName = "no-package-managers"): void {
  const ms = simulation.clock.nowMs() - START_MS;
  simulation.send(alert({ PolicyName, UpdatedTime: formatTimeAt(ms), HostPID: ms + 1 }));
}

/** Killed with counts of two reports in its journal alone, one of them never stored; returns when. */
async function killWithCounts(faults?: ReadonlyMap<number, Fault | Kill>): Promise<[Simulation, number]> {
  const first = begin(undefined, faults);
  await first.start();
  send(first);
  await first.clock.advance(2000);
  if (!faults) await first.pipeline.controller.suspend();
  send(first);
  send(first, "new");
  await first.clock.advance(faults ? 20_000 : 1000);
  return [first, first.clock.nowMs()];
}

const getGaps = (report: Report | undefined): readonly CoverageGapEntry[] => report?.coverage.recent ?? [];

const isCovering = ({ kind, from, to }: CoverageGapEntry, ms: number) =>
  kind === "NotRunning" && Date.parse(from) <= ms && (to === undefined || Date.parse(to) >= ms);

describe("after a kill", () => {
  it("the first write of each report has the counts of the journal and the gap", async () => {
    const [first, killedMs] = await killWithCounts();
    const before = store.history.length;
    const second = begin(first);
    await second.start();
    await second.clock.advance(60_000);
    const written = store.history.slice(before);
    expect(new Set(written.map(({ key }) => key))).toEqual(new Set([STORED, "shop/new"]));
    for (const { key, report } of written) {
      expect(report.coverage, key).toMatchObject({ gaps: 1, lowerBound: true });
      expect(
        getGaps(report).some((gap) => isCovering(gap, killedMs)),
        key,
      ).toBe(true);
    }
    expect(store.occurrences).toBe(3);
  });

  it.each<Fault>(["unknown_after", "retry_after", "foreign_labels", "too_large", "user_deletes"])(
    "with %s at the first write the gap is counted once",
    async (fault) => {
      const [first, killedMs] = await killWithCounts();
      const second = begin(first, new Map([[1, fault]]));
      await second.start();
      await second.clock.advance(60_000);
      for (const report of store.reports) {
        expect(report.coverage.lowerBound).toBe(true);
        expect(getGaps(report).filter((gap) => isCovering(gap, killedMs))).toHaveLength(1);
        expect(report.coverage.gaps).toBe(1);
      }
    },
  );

  it("a write of the killed process that arrives late takes no gap away", async () => {
    const [first, killedMs] = await killWithCounts(new Map([[2, "killed_late"]]));
    expect(first.sink.late).toBeDefined();
    const second = begin(first);
    await second.start();
    if (first.sink.late) await store.write(first.sink.late, SIGNAL);
    await second.clock.advance(60_000);
    expect(store.occurrences).toBe(3);
    for (const report of store.reports) {
      expect(report.coverage).toMatchObject({ gaps: 1, lowerBound: true });
      expect(getGaps(report).filter((gap) => isCovering(gap, killedMs))).toHaveLength(1);
    }
  });

  it("the gap is in the journal before the first write: a second kill leaves both", async () => {
    const [first, killedMs] = await killWithCounts();
    const second = begin(first);
    await second.start();
    await second.pipeline.controller.suspend();
    await second.clock.advance(5000);
    const againMs = second.clock.nowMs();
    const third = begin(second);
    await third.start();
    await third.clock.advance(60_000);
    expect(store.occurrences).toBe(3);
    for (const report of store.reports) {
      expect(report.coverage.gaps).toBe(2);
      for (const ms of [killedMs, againMs]) expect(getGaps(report).some((gap) => isCovering(gap, ms))).toBe(true);
    }
  });

  it("the gap begins with the newest alert in the journal: those after it may have been on their way", async () => {
    const first = begin();
    await first.start();
    await first.clock.advance(1000);
    await first.sendAndWait(100, alert({ UpdatedTime: formatTimeAt(300) }));
    const second = begin(first);
    await second.start();
    await second.clock.advance(60_000);
    expect(getGaps(store.reports[0])).toMatchObject([{ kind: "NotRunning", from: formatTimeAt(300) }]);
  });

  it("a report that begins while the stored ones are being loaded has the gap", async () => {
    const [first, killedMs] = await killWithCounts();
    const second = begin(first);
    second.pipeline.onConnected();
    send(second, "meanwhile");
    await second.start();
    send(second, "later");
    await second.clock.advance(60_000);
    for (const name of ["meanwhile", "later"]) {
      const report = store.get(`shop/${name}`);
      expect(report?.coverage, name).toMatchObject({ gaps: 1, lowerBound: true });
      expect(getGaps(report).filter((gap) => isCovering(gap, killedMs))).toHaveLength(1);
    }
  });
});

describe("without the journal of a leader that ended", () => {
  it.each([
    ["in order", true, { gaps: 0, lowerBound: false }],
    ["by a kill", false, { gaps: 1, lowerBound: true }],
  ])("%s, a report that begins later says whether counts of it may be lost", async (_how, isReleased, coverage) => {
    const first = await startSimulation({ store });
    send(first);
    await first.clock.advance(10_000);
    if (isReleased) await first.stop();
    else send(first, "later");
    const clock = new FakeClock(first.clock.nowMs() + DOWN_MS);
    const second = new Simulation({ store, clock });
    const previous = { isReleased, persistedUntilMs: first.clock.nowMs() - 1000 };
    await second.settleWhile(second.pipeline.load(SIGNAL, previous));
    second.pipeline.onConnected();
    second.pipeline.controller.start();
    send(second, "later");
    await second.clock.advance(60_000);
    expect(store.get("shop/later")).toMatchObject({ summary: { occurrences: 1 }, coverage });
  });
});

describe("without journal and leader election", () => {
  it("the gap of each report begins with the newest time in it: what was counted after that may be lost", async () => {
    const first = await startSimulation({ store });
    send(first);
    await first.clock.advance(1000);
    // Killed before this is written, and after another report was.
    const lostMs = first.clock.nowMs();
    send(first);
    send(first, "later");
    await first.clock.advance(2000);
    expect(store.get(STORED)?.summary.occurrences).toBe(1);
    expect(store.get("shop/later")?.summary.occurrences).toBe(1);
    send(first, "later");
    const second = await startSimulation({ store, clock: new FakeClock(first.clock.nowMs() + DOWN_MS) });
    await second.clock.advance(60_000);
    expect(getGaps(store.get(STORED))).toMatchObject([{ kind: "NotRunning", from: formatTimeAt(0) }]);
    expect(getGaps(store.get(STORED)).some((gap) => isCovering(gap, lostMs))).toBe(true);
    const laterMs = lostMs - START_MS;
    expect(getGaps(store.get("shop/later"))).toMatchObject([{ kind: "NotRunning", from: formatTimeAt(laterMs) }]);
  });
});
