// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The journal's volume runs full while the API server is away, and the process is killed: on a real volume.

import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { Simulation } from "../property/pipeline-simulation.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import { copyJournal } from "../support/journal-rows.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { findMountProblem, mountVolume, type SmallVolume } from "../support/small-volume.ts";

const missing = findMountProblem();
const KIB = 4096;
const ALERT_EVERY_MS = 100;
/** Longest time between two batches of a journal that works, and the least that it writes at once. */
const BATCH_MS = 1100;

describe.skipIf(missing !== undefined)(`a full volume (${missing ?? "tmpfs"})`, () => {
  let first: SmallVolume;
  let second: SmallVolume;
  let third: SmallVolume;
  let fourth: SmallVolume;
  beforeAll(() => {
    first = mountVolume(KIB);
    second = mountVolume(KIB);
    third = mountVolume(KIB / 2);
    fourth = mountVolume(KIB / 2);
  });
  afterAll(() => {
    for (const volume of [first, second, third, fourth]) volume?.remove();
  });

  const open = ({ dir }: SmallVolume) => createSqliteJournal({ path: join(dir, "j.db"), maxBytes: 2 ** 24 });

  /** Alerts of ever new files, so that the journal grows. */
  function createAlert(clock: FakeClock, n: number, ...mods: Partial<Alert>[]): Alert {
    const name = Array.from(String(n), (digit) => "abcdefghij"[Number(digit)]).join("");
    const ms = clock.nowMs() - START_MS;
    return alert(
      { Operation: "File", Resource: `/etc/${name}`, HostPID: n + 1, UpdatedTime: formatTimeAt(ms) },
      ...mods,
    );
  }

  async function run(simulation: Simulation, ms: number, sent: number[]): Promise<void> {
    const { clock, pipeline } = simulation;
    for (const endMs = clock.nowMs() + ms; clock.nowMs() < endMs; ) {
      await clock.advance(ALERT_EVERY_MS);
      sent.push(clock.nowMs());
      pipeline.onAlert(createAlert(clock, sent.length), 0);
    }
  }

  it("loses nothing outside the declared gap, and the journal is read also while the volume is full", async () => {
    const store = new MemorySink();
    const sent: number[] = [];
    const one = new Simulation({ store, journal: open(first) });
    await one.start();
    await run(one, 10_000, sent);
    await one.clock.advance(10_000);
    // The API server goes away; what follows is only in memory and in the journal.
    await one.pipeline.controller.suspend();
    const known = one.pipeline.counters.counted;
    await run(one, 5000, sent);
    await one.clock.advance(BATCH_MS);
    expect(one.journaling?.problem).toBeUndefined();
    first.fill();
    const fullMs = one.clock.nowMs();
    await run(one, 40_000, sent);
    expect(one.journaling?.problem).toMatch(/^no room for/);
    // Killed: nothing is closed. The next process finds the files, and a volume that is still full.
    copyJournal(join(first.dir, "j.db"), join(second.dir, "j.db"));
    second.fill();
    expect(statSync(join(second.dir, "j.db-wal")).size).toBeGreaterThan(0);
    const two = new Simulation({ store, journal: open(second), clock: new FakeClock(one.clock.nowMs() + 5000) });
    await two.start();
    expect(two.journaling?.stats.recovered).toBeGreaterThan(known === sent.length ? 0 : 40);
    two.pipeline.onAlert(createAlert(two.clock, 9999, { PolicyName: "later" }), 0);
    await two.clock.advance(60_000);

    const findGap = (name: string) =>
      store.get(`shop/${name}`)?.coverage.recent?.find(({ kind }) => kind === "NotRunning");
    const fromMs = Date.parse(findGap("no-package-managers")?.from ?? "");
    // Alerts from before the gap are in the report.
    const before = sent.filter((ms) => ms <= fromMs).length;
    expect(store.get("shop/no-package-managers")?.summary.occurrences).toBeGreaterThanOrEqual(before);
    expect(fromMs).toBeGreaterThan(fullMs - 3 * BATCH_MS);
    // Alerts of a report that begins only now may have been lost, too.
    expect(findGap("later")?.from).toBe(findGap("no-package-managers")?.from);
    // The room that its own rows took is enough for what is in no report.
    expect(two.journaling?.problem).toBeUndefined();
    second.fill();
    await two.pipeline.controller.suspend();
    await run(two, 40_000, []);
    expect(two.journaling?.problem).toMatch(/^no room for/);
    second.free();
    await two.clock.advance(20_000);
    expect(two.journaling?.problem).toBeUndefined();
  });

  it("that the journal alone has filled has room again once the reports hold the counts, also after a kill", async () => {
    const store = new MemorySink();
    const sent: number[] = [];
    const one = new Simulation({ store, journal: open(third) });
    await one.start();
    await one.pipeline.controller.suspend();
    for (let i = 0; i < 3000; i++) one.pipeline.onAlert(createAlert(one.clock, i), 0);
    await run(one, 10_000, sent);
    expect(one.journaling?.problem).toMatch(/^no room for/);
    copyJournal(join(third.dir, "j.db"), join(fourth.dir, "j.db"));
    one.pipeline.controller.start();
    await one.clock.advance(60_000);
    expect([store.occurrences, one.journaling?.problem]).toEqual([3000 + sent.length, undefined]);
    expect(one.journaling?.waiting).toBe(0);
    const left = new MemorySink();
    const two = new Simulation({ store: left, journal: open(fourth), clock: new FakeClock(one.clock.nowMs()) });
    await two.start();
    await two.clock.advance(60_000);
    expect(left.occurrences).toBe(two.journaling?.stats.recovered);
    for (let i = 0; i < 100; i++) two.pipeline.onAlert(createAlert(two.clock, i), 0);
    await two.clock.advance(60_000);
    expect([two.journaling?.problem, two.journaling?.waiting]).toEqual([undefined, 0]);
  });
});
