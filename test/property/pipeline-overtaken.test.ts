// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A standby at its bounds, and a former leader that leads again: uncertain counts are left out and declared.

import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, LIMITS, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation } from "./pipeline-simulation.ts";

const { maxPodsPerViolation } = LIMITS;
const BOUNDS = { maxAlerts: 40, maxCells: 20, maxPodsPerViolation, overlapMs: 10_000 };

let dir: string;
let store: MemorySink;

beforeEach(() => {
  dir = createFolder();
  store = new MemorySink();
});

function createReplica(nowMs: number, writerId: string, isJournaled = false): Simulation {
  return new Simulation({
    store,
    clock: new FakeClock(nowMs),
    options: { standby: BOUNDS, writerId },
    ...(isJournaled ? { journal: createSqliteJournal({ path: join(dir, "a.db"), maxBytes: 2 ** 24 }) } : {}),
  });
}

/** A replica that has read for 10 s. */
async function startReplica(nowMs: number, writerId: string, isJournaled = false): Promise<Simulation> {
  const replica = createReplica(nowMs, writerId, isJournaled);
  replica.pipeline.onConnected();
  await replica.clock.advance(10_000);
  return replica;
}

/** The process of the journal starts again after `before`, and leads. */
async function leadAgain(before: Simulation): Promise<Simulation> {
  const again = await startReplica(before.clock.nowMs(), "unused", true);
  await lead(again, again.clock.nowMs() - 1000);
  return again;
}

async function lead(one: Simulation, persistedUntilMs: number): Promise<void> {
  await one.settleWhile(one.pipeline.load(SIGNAL, { persistedUntilMs }));
  one.pipeline.controller.start();
}

async function send(one: Simulation, count: number, change: (i: number) => Parameters<typeof alert>[0]) {
  for (let i = 0; i < count; i++) {
    await one.clock.advance(10);
    const nowMs = one.clock.nowMs() - START_MS;
    one.pipeline.onAlert(alert({ UpdatedTime: formatTimeAt(nowMs), HostPID: i + 1, ...change(i) }), 0);
  }
}

describe("what a standby keeps", () => {
  it.each([
    ["alerts", (i: number) => ({ Resource: `/usr/bin/${i % 4}` })],
    ["violations of a pod", (i: number) => ({ Resource: `/usr/bin/${i}` })],
  ])("is bounded in %s: the oldest go, they are counted, and the report says so", async (_, change) => {
    const standby = await startReplica(START_MS, "standby");
    await send(standby, 100, change);
    const { held, forgotten, shown } = standby.pipeline.takeover.counters!;
    expect([held + forgotten, shown]).toEqual([100, 0]);
    expect(held).toBeGreaterThan(10);
    expect(held).toBeLessThanOrEqual(40);
    await lead(standby, START_MS + 9000);
    await standby.clock.advance(60_000);
    const [report] = store.reports;
    expect(report?.summary).toMatchObject({ occurrences: held, firstSeen: `2026-11-23T10:00:${findFirstKept(held)}Z` });
    expect(report?.coverage).toMatchObject({ lowerBound: true, gaps: 1, recent: [{ kind: "Handover" }] });
  });
});

/** The seconds of the first of the newest `held` of 100 alerts, each 10 ms after the one before. */
function findFirstKept(held: number): string {
  return (10 + (101 - held) / 100).toFixed(6);
}

it("a journal of a leader that another one has followed gives back nothing to the reports that the other has written, which are marked", async () => {
  const first = await startReplica(START_MS, "unused", true);
  await lead(first, START_MS + 9000);
  await send(first, 3, () => ({}));
  await send(first, 2, () => ({ PolicyName: "untouched" }));
  await first.clock.advance(60_000);
  await first.pipeline.controller.pause();
  await send(first, 4, () => ({}));
  await send(first, 5, () => ({ PolicyName: "untouched" }));
  await first.clock.advance(1000);
  first.journaling?.close();

  const second = await startReplica(first.clock.nowMs(), "second");
  const unwrittenMs = second.clock.nowMs() - 1000;
  await lead(second, unwrittenMs);
  await send(second, 7, () => ({}));
  await second.clock.advance(60_000);
  await second.pipeline.controller.pause();

  const again = await leadAgain(second);
  await again.clock.advance(60_000);
  const rows = store.reports.map(({ policy, summary, coverage }) => [
    policy.name,
    summary.occurrences,
    coverage.recent?.map(({ kind }) => kind),
  ]);
  expect(rows).toEqual([
    // Of the 4 the second has written what it has read.
    ["no-package-managers", 10, ["Handover"]],
    ["untouched", 7, undefined],
  ]);
});

it.each([
  ["stays gone", "stops"],
  ["is created again", "stops"],
  ["stays gone", "is killed"],
])(
  "a journal gives back nothing that another leader has moved: the namespace %s, the process %s",
  async (then, end) => {
    const first = await startReplica(START_MS, "unused", true);
    const second = await startReplica(START_MS, "second");
    await lead(first, START_MS + 9000);
    await first.pipeline.controller.pause();
    await send(first, 4, () => ({}));
    await first.clock.advance(1000);
    first.journaling?.close();

    await send(second, 4, () => ({}));
    store.removeNamespace("shop");
    await lead(second, START_MS + 10_000);
    await second.clock.advance(60_000);
    expect(store.get("/no-package-managers")?.summary.occurrences).toBe(4);
    await second.pipeline.controller.pause();

    if (then === "is created again") store.goneNamespaces.delete("shop");
    let again = await leadAgain(second);
    await again.clock.advance(60_000);
    expect(store.get("/no-package-managers")).toMatchObject({
      summary: { occurrences: 4 },
      coverage: { lowerBound: true, recent: [{ kind: "Handover" }] },
    });
    if (end === "is killed") {
      again.journaling?.close();
      again = await leadAgain(again);
    }
    await send(again, 5, () => ({}));
    await again.clock.advance(60_000);
    expect(store.occurrences).toBe(9);
  },
);

it("counts one gap of a cluster report, however many namespaces of a journal another leader has moved there", async () => {
  const first = await startReplica(START_MS, "unused", true);
  const second = await startReplica(START_MS, "second");
  await lead(first, START_MS + 9000);
  await first.pipeline.controller.pause();
  const change = (i: number) => ({ NamespaceName: `shop-${i % 3}` });
  await send(first, 6, change);
  await first.clock.advance(1000);
  first.journaling?.close();

  await send(second, 6, change);
  for (let i = 0; i < 3; i++) store.removeNamespace(`shop-${i}`);
  await lead(second, START_MS + 10_000);
  await second.clock.advance(60_000);
  await second.pipeline.controller.pause();

  const again = await leadAgain(second);
  await again.clock.advance(60_000);
  expect(store.reports).toMatchObject([
    { summary: { occurrences: 6 }, coverage: { gaps: 1, recent: [{ kind: "Handover" }] } },
  ]);
});

it("a journal gives back what another leader can't have moved: its cluster report has counts of another namespace", async () => {
  const first = await startReplica(START_MS, "unused", true);
  await lead(first, START_MS + 9000);
  await first.pipeline.controller.pause();
  await send(first, 4, () => ({}));
  await first.clock.advance(1000);
  first.journaling?.close();

  const second = await startReplica(first.clock.nowMs(), "second");
  store.removeNamespace("bank");
  await lead(second, second.clock.nowMs() - 1000);
  await send(second, 2, () => ({ NamespaceName: "bank" }));
  await second.clock.advance(60_000);
  await second.pipeline.controller.pause();

  const again = await leadAgain(second);
  await again.clock.advance(60_000);
  expect(store.reports.map(({ kind, summary }) => [kind, summary.occurrences])).toEqual([
    ["ClusterPolicyViolationReport", 2],
    ["PolicyViolationReport", 4],
  ]);
});

it("a journal that still has what its own process wrote marks no report that another one has written since", async () => {
  const first = await startReplica(START_MS, "unused", true);
  await lead(first, START_MS + 9000);
  await send(first, 3, () => ({}));
  while (store.reports.length === 0) await first.clock.advance(1);
  first.sink.killed = "killed_after";
  first.journaling?.close();

  const second = await startReplica(first.clock.nowMs(), "second");
  await lead(second, second.clock.nowMs() - 1000);
  await send(second, 4, () => ({}));
  await second.clock.advance(60_000);
  await second.pipeline.controller.pause();

  const again = createReplica(second.clock.nowMs(), "unused", true);
  expect(again.journaling?.unclaimed.all).toHaveLength(1);
  again.pipeline.onConnected();
  await again.clock.advance(10_000);
  await lead(again, again.clock.nowMs() - 1000);
  await send(again, 1, () => ({}));
  await again.clock.advance(60_000);
  expect(store.reports).toMatchObject([{ summary: { occurrences: 8 }, coverage: { gaps: 0, lowerBound: false } }]);
});
