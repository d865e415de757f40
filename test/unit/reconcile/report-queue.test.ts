// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import { isFresh, ReportQueue } from "../../../src/reconcile/report-queue.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { PACE } from "../../support/gen.ts";

const [A, B] = [reportKey("shop", "a"), reportKey("shop", "b")];

function setUp() {
  const clock = new FakeClock();
  const queue = new ReportQueue(PACE, clock);
  /** Takes everything that is ready, in order. */
  const take = (): string[] => {
    const keys: string[] = [];
    for (let next = queue.work.get(); next; next = queue.work.get()) {
      queue.work.done(next.key);
      keys.push(next.key);
    }
    return keys;
  };
  return { clock, queue, take };
}

describe("add", () => {
  it("waits for what comes with the first alert", async () => {
    const { clock, queue, take } = setUp();
    queue.add(A, "new_report");
    await clock.advance(100);
    queue.add(A, "new_violation");
    expect([queue.length, queue.work.waitMs()]).toEqual([1, 100]);
    expect(take()).toEqual([]);
    await clock.advance(100);
    expect(take()).toEqual([A]);
    expect(queue.length).toBe(0);
  });

  it("of something more urgent makes it sooner, of something less so not later", async () => {
    const { clock, queue } = setUp();
    queue.recordWrite(A, true);
    await clock.advance(100);
    queue.add(A, "counters");
    expect(queue.work.waitMs()).toBe(4900);
    queue.add(A, "coverage");
    expect(queue.work.waitMs()).toBe(4900);
    queue.add(A, "new_violation");
    expect(queue.work.waitMs()).toBe(200);
    queue.add(A, "counters");
    await clock.advance(200);
    expect(isFresh(queue.work.get()?.rank ?? 3)).toBe(true);
  });

  it("of the stream alone is the least urgent", async () => {
    const { clock, queue, take } = setUp();
    queue.add(A, "stream");
    queue.add(B, "coverage");
    await clock.advance(200);
    expect(take()).toEqual([B, A]);
  });
});

describe("requeue", () => {
  it("keeps even the most urgent change waiting, and is over with the next write", async () => {
    const { clock, queue, take } = setUp();
    queue.requeue(A, true, 30_000);
    queue.add(A, "new_report");
    queue.add(A, "new_violation");
    await clock.advance(29_999);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(isFresh(queue.work.get()?.rank ?? 3)).toBe(true);
    queue.recordWrite(A, true);
    queue.work.done(A);
    queue.add(A, "new_violation");
    expect(queue.work.waitMs()).toBe(200);
  });

  it("keeps the rank of a change that came meanwhile", async () => {
    const { clock, queue } = setUp();
    queue.add(A, "counters");
    await clock.advance(200);
    expect(queue.work.get()).toEqual({ key: A, rank: 2 });
    queue.add(A, "new_violation");
    queue.requeue(A, false, 100);
    queue.work.done(A);
    await clock.advance(100);
    expect(queue.work.get()).toEqual({ key: A, rank: 1 });
  });
});

describe("paces", () => {
  it("are remembered only for the reports written lately", async () => {
    const { clock, queue } = setUp();
    for (let n = 0; n < 1000; n++) {
      queue.recordWrite(reportKey(`ci-${n}`, "p"), true);
      await clock.advance(1000);
    }
    expect(queue.paces.size).toBeLessThanOrEqual(121);
  });

  it("are bounded also where all were written at once: the oldest leave", () => {
    const { queue } = setUp();
    for (let n = 0; n < 20_010; n++) queue.recordWrite(reportKey(`ci-${n}`, "p"), true);
    expect(queue.paces.size).toBe(20_000);
    queue.add(reportKey("ci-0", "p"), "counters");
    expect(queue.work.waitMs()).toBe(200);
    queue.forget(reportKey("ci-0", "p"));
    queue.add(reportKey("ci-20009", "p"), "counters");
    expect(queue.work.waitMs()).toBe(5000);
  });

  it("are those of a new report once they are forgotten", async () => {
    const { clock, queue } = setUp();
    for (let n = 0; n < 5; n++) queue.recordWrite(A, false);
    await clock.advance(120_000);
    queue.recordWrite(B, false);
    expect(queue.paces.size).toBe(1);
    queue.add(A, "counters");
    expect(queue.work.waitMs()).toBe(200);
  });
});
