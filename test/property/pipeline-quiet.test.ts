// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts are written without another alert to push them: the stream goes quiet right after a fault, and the program goes on. A wake-up that is lost shows here and nowhere else.

import { describe, expect, it } from "vitest";
import { FAULTS, type Fault } from "../support/fault-sink.ts";
import { alert, formatTimeAt } from "../support/gen.ts";
import { type Simulation, startSimulation } from "./pipeline-simulation.ts";

const LONG_ENOUGH_MS = 5 * 60_000;

function send(s: Simulation, pid: number, resource = "/usr/bin/apt"): void {
  s.pipeline.onAlert(alert({ HostPID: pid, UpdatedTime: formatTimeAt(pid), Resource: resource }), 0);
}

describe.each(FAULTS.map((fault) => [fault] as const))("after %s", (fault: Fault) => {
  // A read is the second call of a conflict only; the faults of others come at writes.
  it.each([1, 2, 3])("at call %d, everything is written in the end", async (call) => {
    const s = await startSimulation({ faults: new Map([[call, fault]]) });
    for (let pid = 1; s.sink.hit.length === 0; pid++) {
      expect(pid).toBeLessThan(200);
      send(s, pid);
      await s.clock.advance(400);
    }
    // Between the fault and the next try, then never again.
    send(s, 1000);
    send(s, 1001, "/usr/bin/yum");
    await s.clock.advance(LONG_ENOUGH_MS);
    expect(s.pipeline.aggregator.stats.unwritten).toBe(0);
    expect(s.pipeline.controller.backlog).toBe(0);
  });
});

it("after a time in which this replica did not write what gathered before and during it is written", async () => {
  const s = await startSimulation({ faults: new Map([[2, "retry_before"]]) });
  send(s, 1);
  await s.clock.advance(1000);
  send(s, 2);
  await s.clock.advance(5000);
  await s.pipeline.controller.suspend();
  send(s, 3);
  send(s, 4, "/usr/bin/yum");
  await s.clock.advance(60_000);
  expect(s.pipeline.aggregator.stats.unwritten).toBe(3);
  s.pipeline.controller.start();
  await s.clock.advance(LONG_ENOUGH_MS);
  expect(s.store.occurrences).toBe(4);
  expect(s.pipeline.aggregator.stats.unwritten).toBe(0);
});
