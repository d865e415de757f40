// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WorkLoop } from "../../../../src/lib/pacing/work-loop.ts";
import { WorkQueue, type WorkQueueOptions } from "../../../../src/lib/pacing/work-queue.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { checkAllAsync } from "../../../support/gen.ts";

function setUp(options: Partial<WorkQueueOptions> = {}) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock, ranks: 3, flow: (key) => key.split("/")[0] ?? "", ...options });
  /** Takes all ready keys, in order. */
  const take = (most = Number.POSITIVE_INFINITY): string[] => {
    const keys: string[] = [];
    for (let next = queue.get(); next && keys.length < most; next = queue.get()) {
      keys.push(next.key);
      queue.done(next.key);
      if (keys.length === most) break;
    }
    return keys;
  };
  return { clock, queue, take };
}

describe("get", () => {
  it("takes the lowest rank first, and flows in turn within a rank", () => {
    const { queue, take } = setUp();
    for (const key of ["a/1", "a/2", "a/3", "b/1", "c/1"]) queue.add(key, 1);
    queue.add("z/urgent", 0);
    queue.add("a/4", 2);
    expect(take()).toEqual(["z/urgent", "a/1", "b/1", "c/1", "a/2", "a/3", "a/4"]);
  });

  it("does not give out a key that is being processed; what was added meanwhile waits again", () => {
    const { queue } = setUp();
    queue.add("a/1", 1);
    expect(queue.get()?.key).toBe("a/1");
    queue.add("a/1", 2);
    expect([queue.get(), queue.length, queue.waitMs()]).toEqual([undefined, 1, undefined]);
    queue.done("a/1");
    expect(queue.get()).toEqual({ key: "a/1", rank: 2 });
    queue.done("a/1");
    expect(queue.length).toBe(0);
  });

  it("gives a key out once, however often it was added", () => {
    const { queue, take } = setUp();
    for (let n = 0; n < 1000; n++) queue.addAfter("a/1", n % 3, n % 7);
    expect([queue.length, take()]).toEqual([1, ["a/1"]]);
  });
});

it.each([
  ["become ready", 0],
  ["have waited for long", 6000],
])("looks at a bounded number of keys that %s at once, and gives out an urgent one first", async (_what, afterMs) => {
  let looks = 0;
  const flow = (key: string): string => {
    looks++;
    return key.split("/")[0] ?? "";
  };
  const { clock, queue } = setUp({ flow });
  for (let n = 0; n < 5000; n++) queue.addAfter(`a/${n}`, 2, 1000);
  await clock.advance(1000);
  // Each call may move others.
  for (let calls = 0; calls < 10 && afterMs > 0; calls++) queue.waitMs();
  await clock.advance(afterMs);
  queue.add("z/urgent", 0);
  const given: string[] = [];
  looks = 0;
  for (let next = queue.get(); next; next = queue.get()) {
    given.push(next.key);
    queue.done(next.key);
    // A key is looked at where it leaves a level, where it enters one, and where it is given out.
    expect(looks).toBeLessThan(3 * 1024);
    looks = 0;
  }
  expect([given[0], new Set(given).size, given.length]).toEqual(["z/urgent", 5001, 5001]);
});

describe("aging", () => {
  it("lets no key starve behind urgent ones without end", async () => {
    const { clock, queue } = setUp({ ageMs: 1000 });
    queue.add("quiet/1", 2);
    let n = 0;
    let waitedMs = 0;
    for (let taken = ""; taken !== "quiet/1"; waitedMs += 100) {
      // Two urgent keys come for each one that goes.
      for (const busy of ["x", "y"]) queue.add(`${busy}/${n++}`, 0);
      const next = queue.get();
      queue.done(next?.key ?? "");
      taken = next?.key ?? "";
      await clock.advance(100);
    }
    expect(waitedMs).toBeLessThan(3000);
  });

  it("keeps the rank as added", async () => {
    const { clock, queue } = setUp({ ageMs: 1000 });
    queue.add("a/1", 2);
    await clock.advance(10_000);
    expect(queue.get()).toEqual({ key: "a/1", rank: 2 });
  });
});

it("gives every key out once, in the order of due times, with any additions, requeues and removals", async () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 9 }).map((n) => `f${n % 3}/${n}`),
    kind: fc.constantFrom("add", "addAfter", "requeueAfter", "forget", "get", "step"),
    rank: fc.nat(2),
    ms: fc.nat(5000),
  });
  await checkAllAsync(100, [fc.array(step, { maxLength: 60 })], async (steps) => {
    const { clock, queue } = setUp();
    const waiting = new Set<string>();
    for (const { key, kind, rank, ms } of steps) {
      if (kind === "step") clock.stepWall(ms % 2 ? ms * 1e6 : -ms * 1e6);
      if (kind === "add") queue.add(key, rank);
      if (kind === "addAfter") queue.addAfter(key, rank, ms);
      if (kind === "requeueAfter") queue.requeueAfter(key, rank, ms);
      if (kind.startsWith("add") || kind === "requeueAfter") waiting.add(key);
      if (kind === "forget") {
        queue.forget(key);
        waiting.delete(key);
      }
      if (kind === "get") {
        const next = queue.get();
        if (next) expect(waiting.delete(next.key)).toBe(true);
        if (next) queue.done(next.key);
        await clock.advance(ms);
      }
      expect(queue.length).toBe(waiting.size);
    }
    await clock.advance(5000);
    for (let next = queue.get(); next; next = queue.get()) {
      expect(waiting.delete(next.key)).toBe(true);
      queue.done(next.key);
    }
    expect([waiting.size, queue.length, queue.waitMs()]).toEqual([0, 0, undefined]);
  });
});

describe("WorkLoop", () => {
  function startLoop(options: { perSecond: number; burst: number; concurrency: number }) {
    const { clock, queue } = setUp();
    const begun: string[] = [];
    const pending: (() => void)[] = [];
    const works = new WorkLoop({
      queue,
      clock,
      ...options,
      process: (key) => {
        begun.push(key);
        return new Promise((resolve) => pending.push(resolve));
      },
    });
    works.start();
    return { clock, queue, begun, pending, works };
  }

  it("begins the burst at once and the rest at the rate", async () => {
    const { clock, queue, begun } = startLoop({ perSecond: 10, burst: 3, concurrency: 10 });
    for (let n = 0; n < 6; n++) queue.add(`a/${n}`, 0);
    await clock.advance(0);
    expect(begun).toHaveLength(3);
    await clock.advance(99);
    expect(begun).toHaveLength(3);
    await clock.advance(1);
    expect(begun).toHaveLength(4);
    await clock.advance(200);
    expect(begun).toHaveLength(6);
    expect(clock.pending).toBe(0);
  });

  it("goes on at its rate when the wall clock is set", async () => {
    const { clock, queue, begun } = startLoop({ perSecond: 10, burst: 1, concurrency: 99 });
    for (let n = 0; n < 40; n++) queue.add(`a/${n}`, 0);
    for (const step of [-3_600_000, 86_400_000, -86_400_000]) {
      clock.stepWall(step);
      await clock.advance(1000);
    }
    expect(begun).toHaveLength(31);
  });

  it("processes no more than the given number at a time", async () => {
    const { clock, queue, begun, pending } = startLoop({ perSecond: 10, burst: 9, concurrency: 2 });
    for (let n = 0; n < 3; n++) queue.add(`a/${n}`, 0);
    await clock.advance(0);
    expect(begun).toHaveLength(2);
    pending[0]?.();
    await clock.advance(0);
    expect(begun).toHaveLength(3);
  });

  it("a pause holds everything, and a shorter one does not end it", async () => {
    const { clock, queue, begun, works } = startLoop({ perSecond: 10, burst: 3, concurrency: 10 });
    works.pause(5000);
    works.pause(1000);
    queue.add("a/1", 0);
    await clock.advance(4999);
    expect(begun).toEqual([]);
    await clock.advance(1);
    expect(begun).toEqual(["a/1"]);
  });

  it("stopped begins nothing and waits for what is in flight", async () => {
    const { clock, queue, begun, pending, works } = startLoop({ perSecond: 10, burst: 3, concurrency: 1 });
    queue.add("a/1", 0);
    queue.add("a/2", 0);
    await clock.advance(0);
    let stopped = false;
    const stopping = works.stop().then(() => {
      stopped = true;
    });
    await clock.advance(1000);
    expect([begun, stopped]).toEqual([["a/1"], false]);
    pending[0]?.();
    await stopping;
    expect(begun).toEqual(["a/1"]);
  });
});
