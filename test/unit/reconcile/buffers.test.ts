// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Buffers with a fixed bound, filled beyond it: each is metered.

import { expect, it } from "vitest";
import { emptyTotals } from "../../../src/aggregate/counts/totals.ts";
import { EarlyGaps } from "../../../src/aggregate/gaps/early-gaps.ts";
import { Rejections } from "../../../src/aggregate/gaps/rejections.ts";
import { ThrottledSubjects } from "../../../src/aggregate/gaps/throttled-subjects.ts";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { Standby } from "../../../src/leadership/standby/standby.ts";
import { type BufferUse, emptyBuffers, sumBuffers } from "../../../src/lib/collections/buffer-use.ts";
import { Deletions } from "../../../src/reconcile/deletions.ts";
import { GoneNamespaces } from "../../../src/reconcile/namespaces/gone-namespaces.ts";
import { ReportQueue } from "../../../src/reconcile/report-queue.ts";
import { ReportedUntilIndex } from "../../../src/report/reported-until.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { createPipelineOptions, START_US } from "../../support/gen.ts";

const GAP = { kind: "Handover", fromUs: START_US, toUs: undefined } as const;
const NOTICE = {
  namespace: "shop",
  node: "node-1",
  container: "web",
  timeUs: START_US,
  intervalSeconds: 1,
  maxAlertsPerSec: 1,
};

function createDeleted(): Ledger {
  const ledger = new Ledger("shop", "p");
  ledger.gaps.startAgain(undefined, { ...emptyTotals(), occurrences: 1, firstUs: START_US }, START_US);
  return ledger;
}

function fillDeletions(count: number): BufferUse {
  const deletions = new Deletions();
  const ledger = createDeleted();
  for (let i = 0; i < count; i++) deletions.add(`shop/${i}`, ledger);
  return deletions;
}

function fillQueue(count: number): BufferUse {
  const queue = new ReportQueue(createPipelineOptions().pace, new FakeClock());
  for (let i = 0; i < count; i++) queue.recordWrite(`shop/${i}`, true);
  return queue.paces;
}

function fillStandby(count: number): Standby {
  const limits = { maxAlerts: 1, maxCells: 1, maxPodsPerViolation: 10 };
  const clock = new FakeClock();
  const standby = new Standby(limits, { clock, addThrottleNotice: () => {} });
  for (let i = 0; i < count; i++) standby.addThrottleNotice({ ...NOTICE, pod: `p-${i}` });
  return standby;
}

it.each<[string, number, (count: number) => BufferUse]>([
  [
    "absent namespaces",
    20_000,
    (count) => fill(new GoneNamespaces(new FakeClock()), count, (gone, i) => gone.add(`ns-${i}`)),
  ],
  ["deletions", 1000, fillDeletions],
  [
    "early gaps",
    10_000,
    (count) => fill(new EarlyGaps(), count, (gaps, i) => gaps.add(`shop/${i}`, { ...GAP, fromUs: i })),
  ],
  [
    "throttled pods",
    10_000,
    (count) => fill(new ThrottledSubjects(), count, (throttled, i) => throttled.add({ ...NOTICE, pod: `p-${i}` })),
  ],
  ["write intervals", 20_000, fillQueue],
  ["notices of a standby", 10_000, (count) => fillStandby(count).buffers.standby_notices],
])("%s", (_what, bound, fillTo) => {
  expect(read(fillTo(bound))).toEqual({ size: bound, overflows: 0 });
  expect(read(fillTo(bound + 3))).toEqual({ size: bound, overflows: 3 });
});

it("notices of a standby leave once the leader has persisted them", async () => {
  const clock = new FakeClock();
  const added: string[] = [];
  const limits = { maxAlerts: 1, maxCells: 1, maxPodsPerViolation: 10 };
  const standby = new Standby(limits, { clock, addThrottleNotice: ({ pod }) => added.push(pod) });
  standby.addThrottleNotice({ ...NOTICE, pod: "a" });
  await clock.advance(1000);
  standby.addThrottleNotice({ ...NOTICE, pod: "b" });
  standby.forgetNotices(clock.monotonicMs());
  expect(read(standby.buffers.standby_notices)).toEqual({ size: 1, overflows: 0 });
  expect([...standby.handOver(new ReportedUntilIndex(10), Number.NEGATIVE_INFINITY)]).toEqual([]);
  expect([added, standby.buffers.standby_notices.size]).toEqual([["b"], 0]);
});

it("scopes of rejected alerts", () => {
  const rejections = fill(new Rejections(), 1000, (each, i) => each.add({ namespace: `ns-${i}` }, START_US));
  expect([rejections.size, rejections.isFull]).toEqual([1000, true]);
});

it("counters of parts that have ended stay", () => {
  const use = { size: 2, overflows: 1 };
  const ended = emptyBuffers({ ...sumBuffers([]), deletions: use });
  expect(sumBuffers([ended, ended]).deletions).toEqual({ size: 0, overflows: 2 });
});

function fill<T extends BufferUse>(buffer: T, count: number, add: (buffer: T, i: number) => unknown): T {
  for (let i = 0; i < count; i++) add(buffer, i);
  return buffer;
}

function read({ size, overflows }: BufferUse): BufferUse {
  return { size, overflows };
}
