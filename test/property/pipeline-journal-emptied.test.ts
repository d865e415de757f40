// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal that failed and begins again: until it has all counts, a kill loses some that it had before.

import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { reportKey } from "../../src/ingest/violation/violation.ts";
import { type Journal, JournalError, type JournalFault } from "../../src/journal/journal.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let store: MemorySink;
/** While it is set no batch is written; a journal can be opened and begun. */
let fault: JournalFault | undefined;
beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
  fault = undefined;
});

function open(name: string): () => Journal {
  return () => {
    const journal = createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 })();
    const write = journal.write.bind(journal);
    journal.write = (batch) => {
      if (fault) throw new JournalError(fault, `injected: ${fault}`);
      write(batch);
    };
    return journal;
  };
}

/** The next life, with the journal as a killed process leaves it. */
function killAndCreate(from: string, to: string, atMs: number): Simulation {
  for (const part of ["", "-wal"])
    if (existsSync(join(dir, from + part))) copyFileSync(join(dir, from + part), join(dir, to + part));
  return new Simulation({ store, clock: new FakeClock(START_MS + atMs), journal: open(to) });
}

/** A process that continues `count` violations of an earlier one, of which the journal has lost the rows by now. */
async function createEmptied(count: number): Promise<Simulation> {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.pipeline.controller.pause();
  for (let i = 0; i < count; i++) first.send(alert({ Operation: "File", Resource: `/${i}` }));
  await first.clock.advance(3000);
  const second = killAndCreate("a.db", "b.db", 60_000);
  second.pipeline.onConnected();
  fault = "failed";
  second.send(alert({ UpdatedTime: formatTimeAt(60_000), PolicyName: "other" }));
  await second.clock.advance(500);
  fault = "full";
  await second.clock.advance(3000);
  expect(second.journaling?.problem).toBe("injected: full");
  return second;
}

it("counts that were moved before it works again are not in it under their old report", async () => {
  const second = await createEmptied(3);
  store.removeNamespace("shop");
  const started = second.start();
  for (let i = 0; i < 40; i++) await second.clock.advance(20);
  await started;
  expect(store.get("/no-package-managers")?.summary.occurrences).toBe(3);
  fault = undefined;
  await second.clock.advance(10_000);
  expect(second.journaling?.problem).toBeUndefined();
  const third = killAndCreate("b.db", "c.db", 600_000);
  await third.start();
  await third.clock.advance(60_000);
  expect(store.get("/no-package-managers")?.summary.occurrences).toBe(3);
});

it.each([
  ["claimed", 100],
  ["unclaimed", 100],
])("counts that are %s before it works again are in it, once", async (how, count) => {
  const second = await createEmptied(count);
  if (how === "claimed") {
    const loaded = second.pipeline.load(SIGNAL);
    for (let i = 0; i < 40; i++) await second.clock.advance(20);
    await loaded;
  }
  fault = undefined;
  await second.clock.advance(10_000);
  const third = killAndCreate("b.db", "c.db", 600_000);
  await third.start();
  await third.clock.advance(60_000);
  expect(third.journaling?.stats.recovered).toBe(count + 1);
  expect(store.occurrences).toBe(count + 1);
});

it("a kill before it has the counts again is declared from the oldest of them", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(5000, alert());
  await first.pipeline.controller.pause();
  await first.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(5000) }));
  expect(first.pipeline.aggregator.ledgers.get(reportKey("shop", "no-package-managers"))?.counts.unwritten).toBe(1);
  fault = "failed";
  await first.sendAndWait(10_000, alert({ UpdatedTime: formatTimeAt(65_000) }));
  fault = undefined;
  const next = killAndCreate("a.db", "b.db", 600_000);
  await next.start();
  await next.clock.advance(60_000);
  const { summary, coverage } = store.get("shop/no-package-managers") ?? {};
  expect(summary?.occurrences).toBe(1);
  expect(coverage?.recent).toMatchObject([{ kind: "NotRunning", from: formatTimeAt(5000) }]);
});
