// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal that can't be opened, that fails, that is full: everything goes on, the reports say which of them were not
// protected, and once the journal works again a kill costs nothing.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import { type Journal, JournalError, type JournalFault } from "../../src/journal/journal.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { copyJournal } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let fault: JournalFault | undefined;
let store: MemorySink;

beforeEach(() => {
  dir = createFolder();
  fault = undefined;
  store = new MemorySink();
});

/** A real journal that fails while `fault` is set. */
function createFaultyJournal(name: string): () => Journal {
  const fail = () => {
    if (fault) throw new JournalError(fault, `injected: ${fault}`);
  };
  return () => {
    fail();
    const journal = createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 })();
    return {
      recovered: journal.recovered,
      lost: journal.lost,
      bytes: journal.bytes,
      begin: (life) => journal.begin(life),
      reserve: (seq) => {
        fail();
        journal.reserve(seq);
      },
      write: (batch) => {
        fail();
        journal.write(batch);
      },
      readViolations: (report, seq, after) => {
        fail();
        return journal.readViolations(report, seq, after);
      },
      close: () => journal.close(),
      discard: () => journal.discard(),
    };
  };
}

function startLife(name: string, nowMs = START_MS, journalId?: string): Promise<Simulation> {
  const journal = createFaultyJournal(name);
  return startSimulation({ store, clock: new FakeClock(nowMs), journal, ...(journalId && { journalId }) });
}

/** As a killed process leaves it. */
function copyInFolder(from: string, to: string): void {
  copyJournal(join(dir, from), join(dir, to));
}

/** The next life, with the journal as the killed one left it; it writes everything. */
async function startNextLife(): Promise<Simulation> {
  copyInFolder("a.db", "b.db");
  const simulation = await startLife("b.db", START_MS + 600_000);
  await simulation.clock.advance(120_000);
  return simulation;
}

it("a full journal, which can't reserve set numbers, lets no later process use the same ones", async () => {
  const first = await startLife("a.db");
  await first.sendAndWait(10_000, alert());
  copyInFolder("a.db", "b.db");
  const openFull = () => {
    const journal = createFaultyJournal("b.db")();
    fault = "full";
    return journal;
  };
  const faults = new Map([[1, "killed_late"]] as const);
  const second = await startSimulation({ store, clock: new FakeClock(START_MS + 60_000), journal: openFull, faults });
  second.send(alert({ UpdatedTime: formatTimeAt(60_000) }));
  while (second.sink.late === undefined) await second.clock.advance(100);
  fault = undefined;
  copyInFolder("b.db", "c.db");
  const third = await startLife("c.db", START_MS + 120_000);
  await store.write(second.sink.late, SIGNAL);
  third.send(...[1, 2, 3].map((i) => alert({ HostPID: i, UpdatedTime: formatTimeAt(120_000 + i) })));
  await third.stop();
  expect(store.occurrences).toBe(5);
});

const getOutages = (name: string) =>
  store.get(`shop/${name}`)?.coverage.recent?.filter(({ kind }) => kind === "JournalUnavailable");

describe.each<JournalFault>(["failed", "full", "locked", "gone"])("a journal that is %s", (kind) => {
  it("is tried again, and takes batches, while the wall clock is set back", async () => {
    const simulation = await startLife("a.db");
    fault = kind;
    await simulation.sendAndWait(10_000, alert());
    expect(simulation.journaling?.problem).toBeDefined();
    simulation.clock.stepWall(-3_600_000);
    fault = undefined;
    await simulation.clock.advance(20_000);
    expect(simulation.journaling?.problem).toBeUndefined();
    const batches = simulation.journaling?.stats.batches ?? 0;
    simulation.clock.stepWall(-3_600_000);
    await simulation.clock.advance(60_000);
    expect(simulation.journaling?.stats.batches).toBeGreaterThan(batches);
  });

  it("from the start: the reports say so, and when it works again a kill costs nothing", async () => {
    fault = kind;
    const simulation = await startLife("a.db");
    await simulation.pipeline.controller.pause();
    await simulation.sendAndWait(2000, alert());
    simulation.pipeline.controller.start();
    await simulation.clock.advance(8000);
    expect(simulation.journaling?.problem).toBe(`injected: ${kind}`);
    expect(store.get("shop/no-package-managers")?.coverage).toMatchObject({ gaps: 1, lowerBound: true });
    expect(getOutages("no-package-managers")).toEqual([
      { kind: "JournalUnavailable", from: "2026-11-23T10:00:00.000000Z" },
    ]);

    fault = undefined;
    await simulation.clock.advance(10_000);
    expect(simulation.journaling?.problem).toBeUndefined();
    expect(getOutages("no-package-managers")).toMatchObject([
      { from: "2026-11-23T10:00:00.000000Z", seconds: expect.any(Number) },
    ]);
    expect(simulation.pipeline.coverage.gaps.JournalUnavailable).toBe(1);

    await simulation.sendAndWait(100, alert({ UpdatedTime: formatTimeAt(20_000), PolicyName: "later" }));
    expect(store.get("shop/later")).toBeUndefined();
    const next = await startNextLife();
    expect(next.journaling?.stats.recovered).toBe(1);
    expect(store.occurrences).toBe(2);
    expect(getOutages("later")).toEqual([]);
  });

  it("in the middle, with counts that it had and counts that it never got", async () => {
    const simulation = await startLife("a.db");
    await simulation.pipeline.controller.pause();
    await simulation.sendAndWait(100, alert());
    fault = kind;
    simulation.pipeline.onAlert(alert({ UpdatedTime: formatTimeAt(100) }), 0);
    await simulation.sendAndWait(3000, alert({ UpdatedTime: formatTimeAt(101), PolicyName: "other" }));
    expect(simulation.journaling?.problem).toBe(`injected: ${kind}`);
    fault = undefined;
    await simulation.clock.advance(10_000);
    expect(simulation.journaling?.waiting).toBe(0);
    const next = await startNextLife();
    expect(next.journaling?.stats.recovered).toBe(3);
    expect(store.occurrences).toBe(3);
    // Both were marked when it failed, and the marks were in the journal too.
    for (const name of ["no-package-managers", "other"]) expect(getOutages(name), name).toHaveLength(1);
  });
});

it.each<[JournalFault, "before" | "while"]>([
  ["failed", "before"],
  ["failed", "while"],
  ["full", "while"],
  ["gone", "before"],
])("a journal that is %s %s its violations are read leaves their counts in the totals, once", async (kind, when) => {
  const first = await startLife("a.db");
  await first.pipeline.controller.pause();
  await first.sendAndWait(1000, ...[1, 2, 3].map((i) => alert({ HostPID: i, UpdatedTime: formatTimeAt(i) })));
  copyInFolder("a.db", "b.db");
  const journal = createFaultyJournal("b.db");
  const second = new Simulation({ store, clock: new FakeClock(START_MS + 60_000), journal });
  second.pipeline.onConnected();
  fault = kind;
  // With an alert of its own it notices before the stored reports are read.
  if (when === "before") second.send(alert({ UpdatedTime: formatTimeAt(60_000), PolicyName: "other" }));
  if (when === "before") await second.clock.advance(10_000);
  await second.start();
  fault = undefined;
  await second.clock.advance(20_000);
  const { summary, violations } = store.get("shop/no-package-managers") ?? {};
  expect(summary?.occurrences).toBe(3);
  expect(violations).toEqual([]);
  await second.sendAndWait(20_000, alert({ HostPID: 4, UpdatedTime: formatTimeAt(80_000) }));
  expect(store.get("shop/no-package-managers")).toMatchObject({
    summary: { occurrences: 4 },
    violations: [{ occurrences: 1, lowerBound: true }],
  });
  copyInFolder("b.db", "c.db");
  const third = await startLife("c.db", START_MS + 600_000);
  await third.clock.advance(20_000);
  expect(store.get("shop/no-package-managers")?.summary.occurrences).toBe(4);
});

describe("a report that goes", () => {
  it("with its namespace leaves its counts to the cluster report, in the journal too", async () => {
    const simulation = await startLife("a.db");
    store.removeNamespace("shop");
    await simulation.sendAndWait(1000, alert());
    await simulation.sendAndWait(100, alert({ UpdatedTime: formatTimeAt(1000) }));
    await startNextLife();
    expect(store.reports.map(({ kind, summary }) => [kind, summary.occurrences])).toEqual([
      ["ClusterPolicyViolationReport", 2],
    ]);
  });

  it.each<[JournalFault, "stays gone" | "is created again"]>([
    ["failed", "stays gone"],
    ["failed", "is created again"],
    ["locked", "stays gone"],
    ["full", "stays gone"],
  ])("while the journal is %s, with its namespace that %s, has its counts moved once", async (kind, then) => {
    const simulation = await startLife("a.db");
    await simulation.pipeline.controller.pause();
    await simulation.sendAndWait(1000, alert());
    fault = kind;
    store.removeNamespace("shop");
    await simulation.sendAndWait(1000, alert({ UpdatedTime: formatTimeAt(1000) }));
    simulation.pipeline.controller.start();
    await simulation.clock.advance(20_000);
    expect(store.get("/no-package-managers")?.summary.occurrences).toBe(2);
    fault = undefined;
    if (then === "is created again") store.goneNamespaces.delete("shop");
    const next = await startNextLife();
    expect(store.occurrences).toBe(2);
    const again = formatTimeAt(720_000);
    await next.sendAndWait(20_000, alert({ UpdatedTime: again }), alert({ UpdatedTime: again, NamespaceName: "bank" }));
    expect(store.occurrences).toBe(4);
    copyInFolder("b.db", "c.db");
    const third = await startLife("c.db", START_MS + 1_200_000);
    await third.clock.advance(120_000);
    expect(store.occurrences).toBe(4);
  });

  it("by a person's hand does not come back", async () => {
    const simulation = await startLife("a.db");
    await simulation.sendAndWait(10_000, alert());
    expect(store.removeAsUser("shop/no-package-managers")).toBe(true);
    simulation.disconnect();
    await simulation.clock.advance(120_000);
    expect(simulation.pipeline.aggregator.ledgers.size).toBe(0);
    await startNextLife();
    expect(store.reports).toEqual([]);
  });
});

describe("a start", () => {
  it("states until when the one before had read", async () => {
    const simulation = await startLife("a.db");
    await simulation.sendAndWait(90_000, alert());
    await startNextLife();
    const [gap] = store.reports[0]?.coverage.recent ?? [];
    expect(gap).toMatchObject({ kind: "NotRunning", from: expect.stringMatching(/T10:01:29/), seconds: 511 });
  });

  it("with a journal of which nothing can be read says so in each report, since its last write, and in later ones", async () => {
    const simulation = await startLife("a.db");
    await simulation.sendAndWait(10_000, alert());
    await simulation.pipeline.controller.pause();
    for (const PolicyName of ["no-package-managers", "unwritten"])
      simulation.pipeline.onAlert(alert({ UpdatedTime: formatTimeAt(20_000), PolicyName }), 0);
    await simulation.clock.advance(90_000);
    copyInFolder("a.db", "b.db");
    const log = readFileSync(join(dir, "b.db-wal"));
    log[11] = (log[11] as number) ^ 1;
    writeFileSync(join(dir, "b.db-wal"), log);
    const next = await startLife("b.db", START_MS + 600_000);
    await next.sendAndWait(120_000, alert({ UpdatedTime: formatTimeAt(600_000), PolicyName: "unwritten" }));
    expect(next.journaling?.stats.recovered).toBe(0);
    for (const name of ["no-package-managers", "unwritten"]) {
      expect(store.get(`shop/${name}`)?.coverage.lowerBound, name).toBe(true);
      expect(getOutages(name), name).toEqual([
        expect.objectContaining({ from: store.get("shop/no-package-managers")?.summary.firstSeen }),
      ]);
    }
  });

  it("that was killed before it could list the reports leaves its gap to the next", async () => {
    const simulation = await startLife("a.db");
    await simulation.sendAndWait(90_000, alert());
    copyInFolder("a.db", "b.db");
    const second = new Simulation({
      store,
      clock: new FakeClock(START_MS + 300_000),
      journal: createFaultyJournal("b.db"),
    });
    second.pipeline.onConnected();
    await second.clock.advance(60_000);
    copyInFolder("b.db", "c.db");
    await (await startLife("c.db", START_MS + 600_000)).clock.advance(120_000);
    const [gap] = store.reports[0]?.coverage.recent ?? [];
    expect(gap).toMatchObject({ kind: "NotRunning", from: expect.stringMatching(/T10:01:29/), seconds: 511 });
  });

  it("after a stop finds nothing left", async () => {
    const simulation = await startLife("a.db");
    simulation.pipeline.onAlert(alert(), 0);
    await simulation.stop();
    simulation.journaling?.close();
    const next = await startLife("a.db", START_MS + 600_000);
    expect(next.journaling?.unclaimed.all).toEqual([]);
    expect(next.journaling?.writerId).toBe(simulation.journaling?.writerId);
    expect(store.occurrences).toBe(1);
  });
});

it("a journal that has lost the totals of a report that was never stored says since when they may be gone", async () => {
  const simulation = await startLife("a.db");
  await simulation.sendAndWait(10_000, alert());
  await simulation.pipeline.controller.pause();
  await simulation.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(10_000), PolicyName: "unwritten" }));
  copyInFolder("a.db", "b.db");
  const db = new DatabaseSync(join(dir, "b.db"));
  db.exec("UPDATE layer SET sum = sum + 1");
  db.close();
  const next = await startLife("b.db", START_MS + 600_000);
  await next.clock.advance(120_000);
  expect(store.get("shop/unwritten")?.coverage.lowerBound).toBe(true);
  expect(Date.parse(getOutages("unwritten")?.[0]?.from ?? "")).toBeLessThanOrEqual(START_MS + 10_000);
});

describe("a journal that can be opened only after the start", () => {
  it("is not continued: the reports of which it held something say so", async () => {
    const first = await startLife("a.db");
    await first.sendAndWait(60_000, alert(), alert({ PolicyName: "other" }));
    await first.pipeline.controller.pause();
    await first.sendAndWait(1000, alert({ UpdatedTime: formatTimeAt(59_500), HostPID: 2 }));
    copyInFolder("a.db", "b.db");
    fault = "locked";
    const second = await startLife("b.db", START_MS + 600_000, "writer-k");
    await second.clock.advance(20_000);
    expect(getOutages("no-package-managers")).toEqual([]);
    fault = undefined;
    await second.clock.advance(60_000);
    expect(getOutages("no-package-managers")).toEqual([
      { kind: "JournalUnavailable", from: formatTimeAt(59_500), to: expect.any(String), seconds: expect.any(Number) },
    ]);
    expect(getOutages("other")).toEqual([]);
  });

  it("marks every report that says nothing of the kill before: a process without a journal may have counted there", async () => {
    const first = await startLife("a.db");
    await first.sendAndWait(60_000, alert());
    copyInFolder("a.db", "b.db");
    fault = "locked";
    const second = await startLife("b.db", START_MS + 600_000, "writer-k");
    await second.sendAndWait(20_000, alert({ UpdatedTime: formatTimeAt(600_000), PolicyName: "meanwhile" }));
    fault = undefined;
    await second.clock.advance(20_000);
    await second.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(640_000), PolicyName: "later" }));
    for (const name of ["meanwhile", "later"]) {
      const gap = getOutages(name)?.at(-1);
      expect(Date.parse(gap?.from ?? ""), name).toBeLessThanOrEqual(first.clock.nowMs());
      expect(gap?.to, name).toBe(formatTimeAt(600_000));
    }
    expect(getOutages("no-package-managers")).toEqual([]);
  });
});
