// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A journal file in which single bits have changed.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDeepStrictEqual } from "node:util";
import { beforeEach, expect, it } from "vitest";
import type { Journal, Recovered } from "../../../src/journal/journal.ts";
import { createSqliteJournal } from "../../../src/journal/sqlite-journal.ts";
import { createFolder } from "../../support/folder.ts";
import { type FoundJournal, readAll } from "../../support/journal-rows.ts";
import { begin, createBatch, createChange, createLayerRow, createViolationRow, reopen } from "./rows.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = createFolder();
  path = join(dir, "journal.db");
});

const open = (): Journal => createSqliteJournal({ path, maxBytes: 2 ** 24 })();

const openJournal = (): Journal => begin(open());

const reopenJournal = (journal: Journal): FoundJournal | undefined => reopen(journal, open);

/** The next process's reading of a file. */
function read(bytes: Buffer): { what: string; recovered: FoundJournal | undefined } {
  for (const suffix of ["", "-wal", "-shm", ".broken"]) rmSync(path + suffix, { force: true });
  writeFileSync(path, bytes);
  const journal = open();
  const recovered = readAll(journal);
  const { lost } = journal;
  journal.close();
  if (lost !== undefined) return { what: "put aside", recovered };
  const isMarked = recovered === undefined || recovered.damagedRows > 0 || recovered.isDamaged;
  return { what: isMarked ? "marked" : "unmarked", recovered };
}

it("with one changed bit is read as it was, is put aside, or says that rows are missing", () => {
  const journal = openJournal();
  for (let i = 0; i < 20; i++) {
    const rows = Array.from({ length: 10 }, (_, v) => createViolationRow(`/srv/f${v}x`, { occurrences: v + 1 }));
    journal.write(createBatch([createChange([createLayerRow(i + 1, ...rows)], { policyName: `p-${i}` })]));
  }
  const recovered = reopenJournal(journal);
  const clean = readFileSync(path);
  const seen = { same: 0, "put aside": 0, marked: 0, shorter: 0 };
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((seed / 0x7fffffff) * below);
  };
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(clean);
    const at = random(bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << random(8));
    const found = read(bytes);
    if (found.what === "put aside" || found.what === "marked") seen[found.what]++;
    else if (isDeepStrictEqual(found.recovered, recovered)) seen.same++;
    else {
      // Whole rows of violations may be gone: the totals are all there.
      expect(getTotals(found.recovered), `bit in byte ${at}`).toEqual(getTotals(recovered));
      seen.shorter++;
    }
  }
  expect(seen.marked).toBeGreaterThan(30);
  expect(seen.same).toBeGreaterThan(30);
});

it("with a changed bit in the log of a killed process is read up to it, and says since when rows may be missing", () => {
  const journal = openJournal();
  for (let i = 0; i < 20; i++) {
    const rows = Array.from({ length: 10 }, (_, v) => createViolationRow(`/srv/f${v}x`, { occurrences: v + 1 }));
    const changes = [createChange([createLayerRow(i + 1, ...rows)], { policyName: `p-${i}` })];
    journal.write({ ...createBatch(changes), readUntilMs: 1000 + i });
  }
  const [file, log] = [readFileSync(path), readFileSync(`${path}-wal`)];
  journal.close();
  const readKilled = (damagedLog: Buffer): Journal => {
    for (const suffix of ["", "-wal", "-shm", ".broken"]) rmSync(path + suffix, { force: true });
    writeFileSync(path, file);
    writeFileSync(`${path}-wal`, damagedLog);
    const killed = open();
    killed.close();
    return killed;
  };
  const whole = readKilled(log).recovered;
  expect(whole).toMatchObject({ readUntilMs: 1019, reports: { length: 20 } });
  // The beginning of the log, which decides if SQLite reads any of it, and places in the rest.
  const places = [...Array(100).keys(), ...Array.from({ length: 100 }, (_, i) => ((i + 1) * 104_729) % log.length)];
  const damaged = places.map((at) => {
    const bytes = Buffer.from(log);
    bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
    return { name: `bit in byte ${at}`, bytes };
  });
  const cut = places.map((at) => ({ name: `cut at ${at}`, bytes: log.subarray(0, at) }));
  for (const { name, bytes } of [...damaged, ...cut]) {
    const { recovered, lost } = readKilled(bytes);
    const isMarked = lost !== undefined || (recovered?.readUntilMs ?? 0) < 1019;
    if (!isMarked) expect(getTotals(recovered), name).toEqual(getTotals(whole));
    expect(recovered !== undefined || lost !== undefined, name).toBe(true);
  }
});

const getTotals = (recovered: Pick<Recovered, "reports"> | undefined) =>
  recovered?.reports.map(({ policyName, layers }) => [policyName, layers.map(({ seq, totals }) => [seq, totals])]);

it.each([
  ["another name in a policy", "UPDATE layer SET policy = replace(policy, 'tags', 'tbgs')"],
  ["another name in totals", "UPDATE layer SET totals = replace(totals, 'coverageGaps', 'cpverageGaps')"],
  ["a key without its parts", "UPDATE violation SET key = replace(key, char(31), '!')"],
  ["a larger number", "UPDATE violation SET occurrences = occurrences * 100000000"],
  ["a pod of another name", "UPDATE pod SET name = 'x'"],
  ["another report", "UPDATE report SET policy = 'q'"],
  ["a set that is gone", "DELETE FROM layer"],
])("with %s leaves the rows out and says so", (_, sql) => {
  const journal = openJournal();
  journal.write(createBatch([createChange([createLayerRow(1, createViolationRow("/a"))])]));
  journal.close();
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  const found = open();
  const { damagedRows = 0, isDamaged = false } = readAll(found) ?? {};
  found.close();
  expect(damagedRows > 0 || isDamaged).toBe(true);
});

it("with one changed bit in a key, of more violations than are read at once, gives each of the others at most once", () => {
  const journal = openJournal();
  const rows = Array.from({ length: 200 }, (_, i) => createViolationRow(`/srv/f${1000 + i}`, { occurrences: 1 }));
  journal.write(createBatch([createChange([createLayerRow(1, ...rows)])]));
  journal.close();
  const clean = readFileSync(path);
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(clean);
    const at = bytes.indexOf(`/srv/f${1000 + i}`) + 6 + (i % 4);
    // A key that sorts before its neighbors, or after them.
    bytes[at] = (bytes[at] as number) ^ (1 << (i % 7));
    const keys = read(bytes).recovered?.reports.flatMap(({ layers }) => layers[0]?.violations.map(({ key }) => key));
    expect(keys?.length, `violation ${i}`).toBe(new Set(keys).size);
  }
});
