// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal with damaged rows over several lives: the loss is declared once, by the first process that comes to it.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, expect, it } from "vitest";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { copyJournal } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let store: MemorySink;
beforeEach(async () => {
  dir = createFolder();
  store = new MemorySink();
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(10_000, alert());
  await first.pipeline.controller.pause();
  await first.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(10_000), PolicyName: "unwritten" }));
  copyJournal(join(dir, "a.db"), join(dir, "b.db"));
});

const open = (name: string) => createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 });

const create = (name: string, atMs: number) =>
  new Simulation({ store, clock: new FakeClock(START_MS + atMs), journal: open(name) });

function change(sql: string): void {
  const db = new DatabaseSync(join(dir, "b.db"));
  db.exec(sql);
  db.close();
}

const SETS = "report = (SELECT id FROM report WHERE policy = 'unwritten')";
const DAMAGES = [
  ["a set that is gone", `DELETE FROM layer WHERE ${SETS}`],
  ["a damaged set", `UPDATE layer SET sum = sum + 1 WHERE ${SETS}`],
  ["a damaged set without violations", `UPDATE layer SET sum = sum + 1; DELETE FROM violation WHERE ${SETS}`],
  ["a report of unknown name", "UPDATE report SET sum = sum + 1 WHERE policy = 'unwritten'"],
];

it.each(DAMAGES)("%s is not forgotten by a process that is killed before it has loaded", async (_, sql) => {
  change(sql);
  const second = create("b.db", 300_000);
  second.pipeline.onConnected();
  await second.sendAndWait(3000, alert({ UpdatedTime: formatTimeAt(300_000), PolicyName: "other" }));
  copyJournal(join(dir, "b.db"), join(dir, "c.db"));
  const third = create("c.db", 600_000);
  await third.start();
  await third.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(600_000), PolicyName: "unwritten" }));
  const gap = store.get("shop/unwritten")?.coverage.recent?.find(({ kind }) => kind === "JournalUnavailable");
  expect(Date.parse(gap?.from ?? "")).toBeLessThanOrEqual(START_MS + 10_000);
});

it.each(DAMAGES)("%s is declared in no later life once it is in the reports", async (_, sql) => {
  change(sql);
  for (const [name, atMs] of [
    ["b.db", 600_000],
    ["b.db", 1_200_000],
  ] as const) {
    const next = create(name, atMs);
    await next.start();
    await next.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(atMs) }));
    await next.stop();
    next.journaling?.close();
  }
  const { recent = [] } = store.get("shop/no-package-managers")?.coverage ?? {};
  expect(recent.filter(({ kind }) => kind === "JournalUnavailable")).toHaveLength(1);
  const journal = open("b.db")();
  expect(journal.recovered).toMatchObject({ isDamaged: false, damagedRows: 0, reports: [] });
  journal.close();
});

it("a restored set is whole in the journal once its loss is declared", async () => {
  change(`UPDATE layer SET sum = sum + 1 WHERE ${SETS}`);
  const second = create("b.db", 300_000);
  await second.settleWhile(second.pipeline.load(new AbortController().signal));
  await second.clock.advance(3000);
  copyJournal(join(dir, "b.db"), join(dir, "c.db"));
  const third = create("c.db", 600_000);
  await third.start();
  await third.clock.advance(60_000);
  expect(store.get("shop/unwritten")?.summary.occurrences).toBe(1);
});

it("damaged totals are declared from the oldest count that is left, where no report was ever stored", async () => {
  store = new MemorySink();
  const first = await startSimulation({ store, journal: open("d.db") });
  await first.pipeline.controller.pause();
  await first.sendAndWait(60_000, alert());
  copyJournal(join(dir, "d.db"), join(dir, "b.db"));
  change("UPDATE layer SET sum = sum + 1");
  const next = create("b.db", 600_000);
  await next.start();
  await next.clock.advance(60_000);
  expect(store.reports).toMatchObject([
    {
      coverage: {
        recent: expect.arrayContaining([
          expect.objectContaining({ kind: "JournalUnavailable", from: formatTimeAt(0) }),
        ]),
      },
    },
  ]);
});
