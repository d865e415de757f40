// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { EventUpdate, Regarding } from "../../../src/events/event-recorder.ts";
import { GapEvents } from "../../../src/events/gap-events.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { START_MS } from "../../support/gen.ts";

const SELF: Regarding = { kind: "Deployment", namespace: "kubearmor", name: "pvo" };

function setUp({ self }: { self: Regarding | undefined } = { self: SELF }) {
  const clock = new FakeClock(START_MS);
  const reported: EventUpdate[] = [];
  const events = new GapEvents({ events: { record: (o) => reported.push(o) }, clock, self, afterMs: 60_000 });
  return { clock, reported, events };
}

describe("a gap", () => {
  it("is reported once, on the operator itself, after its minimum length", async () => {
    const { clock, reported, events } = setUp();
    events.startGap({ kind: "StreamDown", fromMs: START_MS - 5000, toMs: undefined });
    await clock.advance(54_000);
    expect(reported).toEqual([]);
    await clock.advance(1000);
    expect(reported).toEqual([
      {
        regarding: SELF,
        policy: "",
        operation: "StreamDown",
        action: "",
        outcome: "StreamGap",
        note:
          "No alert was read for more than 60 s: KubeArmor's alert stream is down. Alerts of that time are in no " +
          "report; reports that may miss alerts have coverage.lowerBound true and list the gap.",
        count: 1,
        firstUs: (START_MS - 5000) * 1000,
        lastUs: (START_MS + 55_000) * 1000,
      },
    ]);
    await clock.advance(600_000);
    expect(reported).toHaveLength(1);
  });

  it("that ends sooner is not reported, nor one after the stop", async () => {
    const { clock, reported, events } = setUp();
    events.startGap({ kind: "StreamEnded", fromMs: START_MS, toMs: undefined });
    await clock.advance(59_000);
    events.endGap("StreamEnded");
    events.startGap({ kind: "StreamDown", fromMs: clock.nowMs(), toMs: undefined });
    events.stop();
    await clock.advance(600_000);
    expect(reported).toEqual([]);
  });

  it("that is over when it is found is reported with its length", () => {
    const { reported, events } = setUp();
    events.startGap({ kind: "NotRunning", fromMs: START_MS - 60_000, toMs: START_MS });
    events.startGap({ kind: "NotRunning", fromMs: START_MS - 59_999, toMs: START_MS });
    expect(reported.map(({ operation, lastUs }) => [operation, lastUs])).toEqual([["NotRunning", START_MS * 1000]]);
  });

  it("that lasts from one look to the next is reported once, and again after it has ended", async () => {
    const { clock, reported, events } = setUp();
    for (const gaps of [1, 2]) {
      for (const fromMs of [clock.nowMs(), clock.nowMs() - 1000]) events.setGap("NodeDown", fromMs);
      await clock.advance(60_000);
      events.setGap("NodeDown", clock.nowMs() - 60_000);
      expect(reported).toHaveLength(gaps);
      events.setGap("NodeDown", undefined);
    }
    events.setGap("NodeDown", clock.nowMs());
    events.setGap("NodeDown", undefined);
    await clock.advance(60_000);
    expect(reported).toHaveLength(2);
  });

  it("has no object to be reported on where the operator is in no cluster", () => {
    const { reported, events } = setUp({ self: undefined });
    events.startGap({ kind: "NotRunning", fromMs: START_MS - 60_000, toMs: START_MS });
    expect(reported).toEqual([]);
  });
});
