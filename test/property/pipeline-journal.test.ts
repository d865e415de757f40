// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program is killed at every call to the store, in every way that matters, with a real journal: no count is lost and
// none is written twice. Then again and again, at random.

import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FAULTS, type Fault, KILLS } from "../support/fault-sink.ts";
import { createFolder } from "../support/folder.ts";
import { alert, checkAllAsync, formatTimeAt, PACE, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { findProblemsOfLives, handOver, type LivesOptions, runLives } from "./journal-lives.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const SETTINGS: readonly (readonly [string, LivesOptions])[] = [
  ["the default settings", {}],
  ["a journal that is slower than the first write", { batchIntervalMs: 1000 }],
  ["no delay of the first write", { options: { pace: { ...PACE, firstWriteDelayMs: 0 } } }],
];

describe.each(SETTINGS)("killed once, with %s", (name, options) => {
  it.each(KILLS)("%s, at every call", async (how) => {
    let recovered = 0;
    let n = 1;
    for (; ; n++) {
      const outcome = await runLives([{ kill: n, how }], options);
      if (outcome.kills === 0) break;
      expect(findProblemsOfLives(outcome), `${how} at call ${n}`).toEqual([]);
      recovered += outcome.recovered;
    }
    expect(n).toBeGreaterThan(10);
    // Proof that the journal had something to give back.
    const isProtected = name === "the default settings";
    expect(recovered).toBeGreaterThan(how === "killed_after" || !isProtected ? 0 : 10);
  });
});

it.each(SETTINGS.slice(1))(
  "a write that arrives late hides no count of the next process, with %s",
  async (_, options) => {
    const [dir, store] = [createFolder(), new MemorySink()];
    const open = (life: number) => createSqliteJournal({ path: join(dir, `${life}.db`), maxBytes: 2 ** 24 });
    const killed = new Simulation({ store, ...options, journal: open(0), faults: new Map([[1, "killed_late"]]) });
    await killed.start();
    killed.send(alert());
    while (killed.sink.late === undefined) await killed.clock.advance(1);
    handOver(dir, 0);
    const next = await startSimulation({
      store,
      ...options,
      journal: open(1),
      clock: new FakeClock(START_MS + 60_000),
    });
    await store.write(killed.sink.late, SIGNAL);
    next.send(...[1, 2, 3].map((i) => alert({ HostPID: i, UpdatedTime: formatTimeAt(60_000 + i) })));
    await next.stop();
    expect(store.occurrences).toBe(4);
  },
);

describe("killed again and again", () => {
  const FAULTS_OF_CALLS = FAULTS.filter((f) => !["user_deletes", "namespace_gone", "foreign_counts"].includes(f));

  it("at random calls, among random faults, loses nothing and counts nothing twice", async () => {
    const fault = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom<Fault>(...FAULTS_OF_CALLS));
    const plan = fc.record({
      kill: fc.integer({ min: 1, max: 12 }),
      how: fc.constantFrom(...KILLS),
      faults: fc.array(fault, { maxLength: 6 }).map((all) => new Map(all)),
    });
    await checkAllAsync(20, [fc.array(plan, { minLength: 1, maxLength: 6 })], async (plans) => {
      expect(findProblemsOfLives(await runLives(plans))).toEqual([]);
    });
  });
});
