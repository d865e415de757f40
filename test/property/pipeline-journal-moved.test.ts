// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Journaled counts of namespaces that are gone, at the bounds of the annotation with which a cluster report names them.

import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { MOVED_ANNOTATION } from "../../src/api/names.ts";
import { type Journal, JournalError, type OpenJournal } from "../../src/journal/journal.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, hostAlert, START_MS } from "../support/gen.ts";
import { copyJournal } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

let dir: string;
let store: MemorySink;

beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
});

function open(name: string): OpenJournal {
  return createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 });
}

/** As a killed process leaves it. */
function copyInFolder(from: string, to: string): void {
  copyJournal(join(dir, from), join(dir, to));
}

it("set numbers that can't be reserved leave out no count of a namespace that is gone and is created again", async () => {
  const inNamespace = (i: number, ms: number) => alert({ NamespaceName: `shop-${i}`, UpdatedTime: formatTimeAt(ms) });
  const namespaces = [1, 2, 3, 4, 5];
  const first = await startSimulation({ store, journal: open("a.db") });
  await first.sendAndWait(10_000, hostAlert({ PolicyName: "no-package-managers" }));
  copyInFolder("a.db", "b.db");
  const fail = () => {
    throw new JournalError("full", "injected");
  };
  let openOnce = (): Journal => {
    openOnce = fail;
    return Object.assign(open("b.db")(), { reserve: fail, write: fail });
  };
  const second = await startSimulation({ store, clock: new FakeClock(START_MS + 60_000), journal: () => openOnce() });
  for (const i of namespaces) store.removeNamespace(`shop-${i}`);
  await second.sendAndWait(60_000, ...namespaces.map((i) => inNamespace(i, 60_000)));
  expect(store.occurrences).toBe(6);
  store.goneNamespaces.clear();
  copyInFolder("b.db", "c.db");
  const third = new Simulation({ store, clock: new FakeClock(START_MS + 600_000), journal: open("c.db") });
  third.pipeline.onConnected();
  third.send(...namespaces.map((i) => inNamespace(i, 600_000)));
  await third.settleWhile(third.pipeline.load(SIGNAL));
  await third.clock.advance(1000);
  copyInFolder("c.db", "d.db");
  const fourth = await startSimulation({ store, clock: new FakeClock(START_MS + 1_200_000), journal: open("d.db") });
  await fourth.clock.advance(120_000);
  expect(store.occurrences).toBe(11);
});

it("a gone namespace beyond the bound of a cluster report has the time of its counts, which are left out, in a gap", async () => {
  const first = await startSimulation({ store, journal: open("a.db") });
  store.removeNamespace("shop");
  await first.sendAndWait(20_000, alert());
  store.goneNamespaces.delete("shop");
  await first.pipeline.controller.pause();
  await first.sendAndWait(60_000, alert({ UpdatedTime: formatTimeAt(20_000) }));
  const others = Array.from({ length: 1000 }, (_, n) => `n${n}=${n + 1}`);
  store.edit("/no-package-managers", (report) => {
    report.metadata.annotations![MOVED_ANNOTATION] = ["writer-j", ...others].join(" ");
  });
  copyInFolder("a.db", "b.db");
  const next = await startSimulation({ store, clock: new FakeClock(START_MS + 600_000), journal: open("b.db") });
  await next.clock.advance(120_000);
  const { summary, coverage } = store.get("/no-package-managers") ?? {};
  expect(summary?.occurrences).toBe(1);
  const isLost = ({ from, to = "" }: { from: string; to?: string }) =>
    Date.parse(from) <= START_MS + 20_000 && Date.parse(to) > START_MS + 20_000;
  expect(coverage?.recent?.filter(isLost)).toHaveLength(1);
});
