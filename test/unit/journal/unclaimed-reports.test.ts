// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { recoverSet } from "../../../src/aggregate/ledger/recovered-counts.ts";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import type { OpenJournal } from "../../../src/journal/journal.ts";
import { Journaling } from "../../../src/journal/journal-writer.ts";
import { createSqliteJournal } from "../../../src/journal/sqlite-journal.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { createFolder } from "../../support/folder.ts";
import { alert, MEMORY, violation } from "../../support/gen.ts";
import { type FoundJournal, readAll } from "../../support/journal-rows.ts";
import { begin, createBatch, createChange, createLayerRow, createViolationRow } from "./rows.ts";

const LEFT = createLayerRow(4, createViolationRow("/a"), createViolationRow("/b"));
const KEY = reportKey("shop", "p");

let path: string;
let clock: FakeClock;
beforeEach(() => {
  path = join(createFolder(), "journal.db");
  clock = new FakeClock(0);
  const journal = begin(open());
  journal.write(createBatch([createChange([LEFT])]));
  journal.close();
});

function open() {
  return createSqliteJournal({ path, maxBytes: 2 ** 24 })();
}

function start(openJournal: OpenJournal = open): { aggregator: Aggregator; journaling: Journaling } {
  const journaling = new Journaling({
    open: openJournal,
    batchIntervalMs: 50,
    freshWriterId: "x",
    clock,
    logger: silentLogger,
  });
  const aggregator = new Aggregator(MEMORY, () => {}, journaling);
  journaling.attach(aggregator, () => {});
  return { aggregator, journaling };
}

async function findAfterBatch({ journaling }: { journaling: Journaling }): Promise<FoundJournal | undefined> {
  journaling.wake();
  await clock.advance(1000);
  journaling.close();
  const journal = open();
  const found = readAll(journal);
  journal.close();
  return found;
}

it("rows of an earlier process stay where all rows of their report are removed", async () => {
  const next = start();
  next.aggregator.add(violation(alert({ PolicyName: "p" })));
  next.aggregator.ledger("shop", "p").sets.resetLog();
  const found = await findAfterBatch(next);
  expect(found?.reports).toMatchObject([{ policyName: "p", layers: [LEFT, { totals: { occurrences: 1 } }] }]);
});

it("rows of an earlier process stay where the report that began meanwhile is gone", async () => {
  const next = start();
  next.aggregator.add(violation(alert({ PolicyName: "p" })));
  next.aggregator.detach(KEY);
  expect((await findAfterBatch(next))?.reports).toMatchObject([{ policyName: "p", layers: [LEFT] }]);
});

it("neither reads them, however many they are", async () => {
  let pages = 0;
  const next = start(() => {
    const journal = open();
    const { readViolations } = journal;
    journal.readViolations = (...page) => {
      pages++;
      return readViolations(...page);
    };
    return journal;
  });
  for (const PolicyName of ["p", "q"]) next.aggregator.add(violation(alert({ PolicyName })));
  next.aggregator.ledger("shop", "p").sets.resetLog();
  next.journaling.wake();
  await clock.advance(1000);
  next.aggregator.detach(KEY);
  expect((await findAfterBatch(next))?.reports).toMatchObject([{ layers: [LEFT] }, { policyName: "q" }]);
  expect(pages).toBe(0);
});

it("rows that a ledger has claimed go with it", async () => {
  const next = start();
  next.aggregator.add(violation(alert({ PolicyName: "p" })));
  next.journaling.unclaimed.claim(KEY);
  next.aggregator.detach(KEY);
  expect((await findAfterBatch(next))?.reports).toEqual([]);
});

it("a set is read in steps of few rows, also where each violation has many pods", () => {
  const podRow = (name: string) => ({ key: name, name, node: "n", occurrences: 1, lastUs: 1 });
  const pods = Array.from({ length: 300 }, (_, i) => podRow(`pod-${i}`));
  const rows = Array.from({ length: 40 }, (_, i) =>
    createViolationRow(`/f${i}`, { pods: i < 20 ? [podRow("p")] : pods }),
  );
  const journal = open();
  journal.write(createBatch([createChange([createLayerRow(5, ...rows)])]));
  const sizes: number[] = [];
  const keys: string[] = [];
  for (let after: string | undefined = ""; after !== undefined; ) {
    const { violations, last } = journal.readViolations(KEY, 5, after);
    sizes.push(violations.reduce((sum, each) => sum + 1 + each.pods.length, 0));
    keys.push(...violations.map(({ key }) => key));
    after = last;
  }
  journal.close();
  expect(keys).toEqual(rows.map(({ key }) => key).sort());
  expect(Math.max(...sizes)).toBeLessThan(500);
  const steps = recoverSet(createLayerRow(5, ...rows));
  let left = 0;
  while (!steps.next().done) left++;
  expect(left).toBeGreaterThanOrEqual(Math.floor((20 * 300) / 1024));
});
