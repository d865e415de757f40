// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Takeovers with alerts from a node with a clock that is behind.

import { expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import { alert, formatTimeAt, hostAlert, LIMITS, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const MINUTE_MS = 60_000;
const { maxPodsPerViolation } = LIMITS;
const STANDBY = { maxAlerts: 1000, maxCells: 20, maxPodsPerViolation, overlapMs: 10_000 };

/** A leader and a standby, 20 minutes after their start. */
async function startReplicas() {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  const { clock } = first;
  const next = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "next" } });
  next.pipeline.onConnected();
  await clock.advance(20 * MINUTE_MS);
  /** Raised now, by a clock that is behind. */
  const raise = (build: typeof alert, fields: Partial<Alert> = {}, behindMs = 0) =>
    build({ ...fields, UpdatedTime: formatTimeAt(clock.nowMs() - START_MS - behindMs) });
  const takeOver = async () => {
    await first.stop();
    await next.settleWhile(next.pipeline.load(SIGNAL, { persistedUntilMs: clock.nowMs() }));
    next.pipeline.controller.start();
  };
  return { store, first, next, clock, raise, takeOver };
}

it.each([
  ["9 minutes", 9, { PodName: "web-9" }],
  ["11 minutes, of a violation that another pod had since", 11, { PodName: "web-9" }],
  ["11 minutes, of a violation that was not seen since", 11, { Operation: "File", Resource: "/etc/other" }],
])("an alert of a clock behind by %s, reported before a takeover and read after it", async (_what, minutes, since) => {
  const { store, first, next, clock, raise, takeOver } = await startReplicas();
  const late = raise(alert, {}, minutes * MINUTE_MS);
  const recent = raise(alert, since);
  first.send(late);
  for (const each of [first, next]) each.send(recent);
  await takeOver();
  next.send(late);
  await clock.advance(1000);
  // The same clock goes on; the other pod has had no alert yet.
  next.send(raise(alert, {}, minutes * MINUTE_MS), raise(alert, { PodName: "web-3" }, minutes * MINUTE_MS));
  await clock.advance(2 * MINUTE_MS);
  expect(store.occurrences).toBe(4);
});

it.each([
  ["a host", hostAlert, { HostName: "slow" }],
  ["a pod without an owner", alert, { OwnerRef: "Pod", OwnerName: "bare", PodName: "bare" }],
])("new violations of %s with a clock far behind are counted after a takeover", async (_what, build, subject) => {
  const { store, first, next, clock, raise, takeOver } = await startReplicas();
  const recent = raise(build);
  for (const each of [first, next]) each.send(recent);
  await takeOver();
  const created = [1, 2, 3].map((i) => ({ ...subject, Operation: "File", Resource: `/etc/${i}` }));
  next.send(...created.map((fields) => raise(build, fields, 11 * MINUTE_MS)));
  await clock.advance(2 * MINUTE_MS);
  expect(store.occurrences).toBe(4);
});

it("a write after the takeover keeps no alert of more pods than are listed from being counted", async () => {
  const { store, first, next, clock, raise, takeOver } = await startReplicas();
  const pods = Array.from({ length: maxPodsPerViolation + 10 }, (_, i) => `slow-${i}`);
  const raiseSlow = () => pods.map((PodName) => raise(alert, { PodName }, 11 * MINUTE_MS));
  const before = raiseSlow();
  for (const each of [first, next]) each.send(...before);
  await takeOver();
  next.send(raise(alert, { PodName: "right" }));
  await clock.advance(5000);
  next.send(...raiseSlow());
  await clock.advance(2 * MINUTE_MS);
  expect(store.occurrences).toBe(2 * pods.length + 1);
});

it.each([
  ["a pod that is not listed", alert, maxPodsPerViolation + 1],
  ["a host", hostAlert, 1],
])(
  "an alert of %s that was reported before a takeover is not counted after a write either",
  async (_what, build, pods) => {
    const { store, first, next, clock, raise, takeOver } = await startReplicas();
    const raiseSlow = (PodName: string) => raise(build, build === alert ? { PodName } : {}, 11 * MINUTE_MS);
    const late = raiseSlow("late");
    first.send(late);
    for (let i = 1; i < pods; i++) {
      await clock.advance(10);
      const other = raiseSlow(`other-${i}`);
      for (const each of [first, next]) each.send(other);
    }
    await takeOver();
    await clock.advance(1000);
    next.send(raiseSlow("new"));
    await clock.advance(5000);
    next.send(late);
    await clock.advance(2 * MINUTE_MS);
    expect(store.occurrences).toBe(pods + 1);
  },
);

it("an alert of a namespace that is gone is not counted twice in the cluster report", async () => {
  const { store, first, next, clock, raise, takeOver } = await startReplicas();
  store.removeNamespace("shop");
  const late = raise(alert, {}, 11 * MINUTE_MS);
  first.send(late);
  await clock.advance(10_000);
  await takeOver();
  next.send(late);
  await clock.advance(2 * MINUTE_MS);
  expect(store.get("/no-package-managers")?.summary.occurrences).toBe(1);
});
