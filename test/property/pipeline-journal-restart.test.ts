// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What a journal holds while a process continues an earlier one's counts, and how it ended.

import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { reportKey } from "../../src/ingest/violation/violation.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { SinkError } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { copyJournal, readAll } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let store: MemorySink;
beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
});

const open = (name: string) => createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 });

/** As a killed process leaves it. */
function copyInFolder(from: string, to: string): void {
  copyJournal(join(dir, from), join(dir, to));
}

/** The next process, 10 minutes after the first one's start. */
function restart(name: string): Promise<Simulation> {
  return startSimulation({ store, clock: new FakeClock(START_MS + 600_000), journal: open(name) });
}

/** Time passes, and batches are written, between the steps of long work. */
class BusyClock extends FakeClock {
  onTurn: () => void = () => {};
  override async turn(): Promise<void> {
    await this.advance(200);
    this.onTurn();
  }
}

/** Occurrences in a copy of the journal: by the totals of its sets, and by their violations. */
function countCopied(name: string): { totals: number; listed: number } {
  copyInFolder(name, "copy.db");
  const journal = open("copy.db")();
  const layers = readAll(journal)?.reports.flatMap((report) => report.layers) ?? [];
  journal.close();
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    totals: sum(layers.map(({ totals }) => totals.occurrences)),
    listed: sum(layers.flatMap(({ violations }) => violations.map(({ occurrences }) => occurrences))),
  };
}

it.each([
  [60, 100],
  [300, 50],
])(
  "a kill at any step of continuing sets of %d and %d violations leaves each count in the journal once",
  async (a, b) => {
    const list = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) =>
        alert({ Operation: "File", ProcessName: "/bin/cat", Resource: `/${name}${i}` }),
      );
    const first = await startSimulation({ store, journal: open("a.db") });
    await first.pipeline.controller.pause();
    first.send(...list("r", a));
    first.pipeline.aggregator.ledgers.get(reportKey("shop", "no-package-managers"))?.write.take();
    first.send(...list("s", b));
    await first.clock.advance(3000);
    copyInFolder("a.db", "b.db");
    const clock = new BusyClock(START_MS + 60_000);
    const totals: number[] = [];
    clock.onTurn = () => totals.push(countCopied("b.db").totals);
    const second = new Simulation({ store, clock, journal: open("b.db") });
    second.pipeline.onConnected();
    await second.pipeline.load(SIGNAL);
    await clock.advance(3000);
    expect(totals.length).toBeGreaterThan(5);
    expect(new Set(totals)).toEqual(new Set([a + b]));
    expect(countCopied("b.db")).toEqual({ totals: a + b, listed: a + b });
  },
);

it("an orderly stop of a quiet process declares no restart in a report that begins later", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(3000, alert());
  await first.stop();
  first.journaling?.close();
  const next = await restart("a.db");
  await next.sendAndWait(60_000, alert({ PolicyName: "later", UpdatedTime: formatTimeAt(610_000) }));
  expect(store.get("shop/later")?.coverage.gaps).toBe(0);
});

it("a process that is stopped before it has loaded leaves the loss of a killed one to the next", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(3000, alert());
  copyInFolder("a.db", "b.db");
  const second = new Simulation({ store, clock: new FakeClock(START_MS + 60_000), journal: open("b.db") });
  second.send(alert());
  second.journaling?.close();
  const third = new Simulation({ store, clock: new FakeClock(START_MS + 120_000), journal: open("b.db") });
  expect(third.journaling?.previous.mayHaveLost).toBe(true);
});

it("a leader that is stopped before it could list the reports leaves the loss of what it held to the next", async () => {
  const standby = { maxAlerts: 1000, maxCells: 20, maxPodsPerViolation: 10, overlapMs: 10_000 };
  store.listErrors.push(...Array.from({ length: 100 }, () => new SinkError("forbidden")));
  const leader = new Simulation({ store, journal: open("a.db"), options: { standby } });
  leader.pipeline.onConnected();
  const stop = new AbortController();
  const loading = leader.pipeline.load(stop.signal, { persistedUntilMs: undefined });
  await leader.sendAndWait(5000, alert());
  expect(leader.pipeline.takeover.counters?.held).toBe(1);
  stop.abort();
  await leader.settleWhile(loading);
  leader.journaling?.close();
  store.listErrors.length = 0;
  const clock = new FakeClock(START_MS + 60_000);
  const next = new Simulation({ store, clock, journal: open("a.db"), options: { standby } });
  await next.settleWhile(
    next.pipeline.load(SIGNAL, { isSeparate: true, isReleased: true, persistedUntilMs: undefined }),
  );
  next.pipeline.onConnected();
  next.pipeline.controller.start();
  await next.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(60_000) }));
  expect(store.reports).toMatchObject([{ coverage: { lowerBound: true, recent: [{ kind: "NotRunning" }] } }]);
  expect(Date.parse(store.reports[0]?.coverage.recent?.[0]?.from ?? "")).toBeLessThanOrEqual(START_MS);
});

it("a kill after the write of moved counts has them counted once", async () => {
  const first = await startSimulation({ store, journal: open("a.db"), batchIntervalMs: 1000 });
  store.removeNamespace("shop");
  const getCount = () => store.get("/no-package-managers")?.summary.occurrences;
  for (const count of [1, 2, 3]) {
    await first.sendAndWait(0, alert({ HostPID: count, UpdatedTime: formatTimeAt(first.clock.elapsedMs) }));
    while (getCount() !== count) await first.clock.advance(10);
    copyInFolder("a.db", `${count}.db`);
    const copied = open(`${count}.db`)();
    const left = copied.recovered?.reports.filter(({ namespace }) => namespace !== undefined);
    copied.close();
    expect(left, `after ${count}`).toEqual([]);
    await first.clock.advance(120_000);
  }
});

it.each([
  ["of the stream", "a journal", (s: Simulation) => s.disconnect()],
  ["in which the process stalled", "a journal", (s: Simulation) => s.pipeline.onEventLoopStall(6000)],
  ["of the stream", "nothing but the reports", (s: Simulation) => s.disconnect()],
])("a short gap %s is not lost with a process with %s that is killed first", async (_, how, lose) => {
  const isJournaled = how === "a journal";
  const first = await startSimulation({ store, ...(isJournaled && { journal: open("a.db") }) });
  await first.sendAndWait(60_000, alert());
  const fromMs = first.clock.nowMs();
  lose(first);
  await first.clock.advance(1000);
  first.pipeline.onConnected();
  await first.clock.advance(20_000);
  expect(store.reports[0]?.coverage.gaps).toBe(0);
  if (isJournaled) copyInFolder("a.db", "b.db");
  const next = await startSimulation({
    store,
    clock: new FakeClock(START_MS + 600_000),
    ...(isJournaled && { journal: open("b.db") }),
  });
  await next.clock.advance(60_000);
  const [gap] = store.reports[0]?.coverage.recent ?? [];
  expect(gap?.kind).toBe("NotRunning");
  expect(Date.parse(gap?.from ?? "")).toBeLessThanOrEqual(fromMs);
});

it("a gap of the stream that is found late is in the journal at once", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(60_300, alert());
  const atMs = first.clock.nowMs();
  const lastReadMs = atMs - 40_000;
  first.pipeline.onDisconnected({ atMs, lastReadMs, reason: "watchdog", message: "injected" });
  await first.clock.advance(100);
  copyInFolder("a.db", "b.db");
  const next = await restart("b.db");
  await next.clock.advance(60_000);
  const [gap] = store.reports[0]?.coverage.recent ?? [];
  expect(Date.parse(gap?.from ?? "")).toBeLessThanOrEqual(lastReadMs);
});

it("a short gap of the stream leaves no restart to declare once it is in the reports", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(60_000, alert());
  first.disconnect();
  await first.clock.advance(1000);
  first.pipeline.onConnected();
  await first.clock.advance(31_000);
  await first.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(92_000), PolicyName: "later" }));
  const untilMs = first.clock.nowMs();
  copyInFolder("a.db", "b.db");
  const next = await restart("b.db");
  await next.clock.advance(60_000);
  const recent = store.reports.map(({ coverage }) => coverage.recent?.map(({ kind }) => kind));
  expect(recent).toEqual([["NotRunning"], ["NotRunning", "StreamDown"]]);
  const from = store.reports[0]?.coverage.recent?.[0]?.from ?? "";
  expect(Date.parse(from)).toBeGreaterThanOrEqual(untilMs - 2000);
});

it("an orderly stop soon after a short gap of the stream declares no restart in a report that begins later", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(60_000, alert());
  first.disconnect();
  await first.clock.advance(1000);
  first.pipeline.onConnected();
  await first.clock.advance(3000);
  await first.stop();
  first.journaling?.close();
  const next = await restart("a.db");
  await next.sendAndWait(60_000, alert({ PolicyName: "later", UpdatedTime: formatTimeAt(610_000) }));
  expect(store.get("shop/no-package-managers")?.coverage.recent).toMatchObject([
    { kind: "NotRunning" },
    { kind: "StreamDown" },
  ]);
  expect(store.get("shop/later")?.coverage.gaps).toBe(0);
});
