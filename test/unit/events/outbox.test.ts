// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { Outbox } from "../../../src/events/outbox.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function outbox(clock: FakeClock, options = { perSecond: 10, burst: 3, concurrency: 10 }) {
  const sent: string[] = [];
  const pending: (() => void)[] = [];
  const box = new Outbox<string>(options, clock, (item) => {
    sent.push(item);
    return new Promise((resolve) => pending.push(resolve));
  });
  return { box, sent, pending };
}

test("the first rank goes first, each in the order of coming, and nobody waits twice", async () => {
  const { box, sent } = outbox(new FakeClock(), { perSecond: 10, burst: 9, concurrency: 9 });
  for (const item of ["b1", "b2"]) box.add(item, "second");
  for (const item of ["a1", "a2", "a1"]) box.add(item, "first");
  expect([box.firstRank, box.waiting]).toEqual([2, 4]);
  box.pump();
  expect(sent).toEqual(["a1", "a2", "b1", "b2"]);
});

test("the burst goes at once, the rest at the rate", async () => {
  const clock = new FakeClock();
  const { box, sent } = outbox(clock);
  for (let i = 0; i < 6; i++) box.add(`${i}`, "first");
  box.pump();
  expect(sent).toHaveLength(3);
  await clock.advance(99);
  expect(sent).toHaveLength(3);
  await clock.advance(1);
  expect(sent).toHaveLength(4);
  await clock.advance(200);
  expect(sent).toHaveLength(6);
  expect(clock.pending).toBe(0);
});

test("no more than the given number is under way at once", async () => {
  const clock = new FakeClock();
  const { box, sent, pending } = outbox(clock, { perSecond: 10, burst: 9, concurrency: 2 });
  for (let i = 0; i < 3; i++) box.add(`${i}`, "first");
  box.pump();
  expect([sent.length, box.inFlight]).toEqual([2, 2]);
  pending[0]?.();
  await clock.advance(0);
  expect([sent.length, box.inFlight]).toEqual([3, 2]);
});

test("a pause holds everything, and a shorter one does not end it", async () => {
  const clock = new FakeClock();
  const { box, sent } = outbox(clock);
  box.pause(clock.nowMs() + 5000);
  box.pause(clock.nowMs() + 1000);
  box.add("a", "first");
  box.pump();
  await clock.advance(4999);
  expect(sent).toEqual([]);
  await clock.advance(1);
  expect(sent).toEqual(["a"]);
});

test("what is taken out or comes after the end is not sent", async () => {
  const clock = new FakeClock();
  const { box, sent } = outbox(clock, { perSecond: 10, burst: 1, concurrency: 9 });
  for (const item of ["a", "b", "c"]) box.add(item, "first");
  box.pump();
  box.remove("b");
  await clock.advance(100);
  expect(sent).toEqual(["a", "c"]);
  box.add("d", "first");
  box.pump();
  box.close();
  await clock.advance(10_000);
  expect(sent).toEqual(["a", "c"]);
  expect(clock.pending).toBe(0);
});
