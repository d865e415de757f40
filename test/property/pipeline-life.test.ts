// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Starts, stops and restarts of the program.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline } from "../../src/app/pipeline/pipeline.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { SinkError } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { Fault } from "../support/fault-sink.ts";
import { alert, createPipelineOptions, formatTimeAt, hostAlert } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { findBackwardSteps, findProblems, runScript, Simulation, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";

function getCoverage(simulation: Simulation, key = KEY): Report["coverage"] | undefined {
  return simulation.store.get(key)?.coverage;
}

describe("a start", () => {
  /** A store with what an earlier process has written. */
  async function storeEarlierReport(): Promise<MemorySink> {
    const s = await startSimulation({ options: { writerId: "writer-0" } });
    s.send(alert({ HostPID: 1 }), alert({ HostPID: 2, Result: "Passed", Action: "Audit" }), hostAlert());
    await s.stop();
    expect(s.store.occurrences).toBe(3);
    return s.store;
  }

  it("goes on from the stored counts, and the time in between is a gap", async () => {
    const s = await startSimulation({
      store: await storeEarlierReport(),
      clock: new FakeClock(Date.UTC(2026, 10, 23, 10, 2)),
    });
    s.send(alert({ HostPID: 3, UpdatedTime: "2026-11-23T10:02:00.000000Z" }));
    await s.stop();
    expect(s.store.get(KEY)?.summary).toMatchObject({
      occurrences: 3,
      prevented: 2,
      allowed: 1,
      violations: 2,
      firstSeen: "2026-11-23T10:00:00.000000Z",
      lastSeen: "2026-11-23T10:02:00.000000Z",
    });
    expect(getCoverage(s)).toMatchObject({ gaps: 1, lowerBound: true });
    expect(getCoverage(s, "/host-files")).toMatchObject({ gaps: 1, lowerBound: true });
    // From the last thing that is known to the first that is read again.
    expect(s.pipeline.coverage).toMatchObject({ gaps: { NotRunning: 1 }, gapSeconds: { NotRunning: 120 } });
    expect(findBackwardSteps(s.store.history)).toEqual([]);
  });

  it.each([
    ["at first", [new SinkError("down"), new SinkError("down", { retryAfterMs: 5000 })]],
    ["after the first page", [new SinkError("page two")]],
  ])("waits for a list that fails %s, while alerts come in", async (_name, errors) => {
    const store = await storeEarlierReport();
    store.listErrors.push(...errors);
    const s = new Simulation({ store });
    s.pipeline.onConnected();
    const loading = s.pipeline.load(SIGNAL);
    await s.clock.advance(0);
    expect(s.pipeline.takeover.listing).toBe(errors[0]?.message);
    s.send(alert({ HostPID: 9, UpdatedTime: formatTimeAt(10) }));
    await s.settleWhile(loading);
    expect(s.pipeline.takeover.listing).toBeUndefined();
    expect(store.writes).toBe(2);
    s.pipeline.controller.start();
    await s.stop();
    expect(store.get(KEY)?.summary).toMatchObject({ occurrences: 3, prevented: 2, allowed: 1 });
    expect(getCoverage(s)).toMatchObject({ gaps: 1 });
  });

  it("gives up listing at the stop", async () => {
    const store = await storeEarlierReport();
    store.listErrors.push(...Array.from({ length: 100 }, () => new SinkError("down")));
    const s = new Simulation({ store });
    const stop = new AbortController();
    const loading = s.pipeline.load(stop.signal);
    await s.clock.advance(3000);
    stop.abort();
    await s.settleWhile(loading);
    expect(s.pipeline.takeover.listing).toBe("down");
  });

  it("does not hide a bug behind the list's retries", async () => {
    const s = new Simulation();
    s.store.listErrors.push(new TypeError("a bug") as SinkError);
    await expect(s.pipeline.load(SIGNAL)).rejects.toThrow("a bug");
  });

  it("leaves an object alone that is not named as its policy's report would be", async () => {
    const store = await storeEarlierReport();
    const report = store.get(KEY) as Report;
    store.plant({ ...report, metadata: { name: "a-copy", namespace: "shop" } });
    const s = await startSimulation({ store });
    s.send(alert({ HostPID: 3 }));
    await s.stop();
    expect(store.get(KEY)?.summary.occurrences).toBe(3);
    expect(store.get("shop/a-copy")?.summary.occurrences).toBe(2);
  });

  it("never takes over the object of another policy", async () => {
    const store = await storeEarlierReport();
    const report = store.get(KEY) as Report;
    store.plant({
      ...report,
      policy: { ...report.policy, name: "Other" },
      metadata: { name: "mine", namespace: "shop" },
    });
    const s = await startSimulation({ store });
    await s.sendAndWait(5000, alert({ PolicyName: "mine" }));
    expect(s.pipeline.controller.refusals).toEqual([
      "the stored object is a report of another policy, Other; delete it to have it recreated",
    ]);
    // A user of one namespace must not make the operator unready for all.
    expect(s.pipeline.controller.commonRefusal).toBe(undefined);
    expect(store.get("shop/mine")?.summary.occurrences).toBe(2);
    store.removeAsUser("shop/mine");
    await s.stop();
    expect(store.get("shop/mine")).toMatchObject({ policy: { name: "mine" }, summary: { occurrences: 1 } });
    expect(s.pipeline.controller.refusals).toEqual([]);
  });

  it("again and again, ended at any moment, loses only what was not yet written", async () => {
    let store = new MemorySink();
    let counted = 0;
    let lost = 0;
    for (let life = 0; life < 12; life++) {
      const s = await startSimulation({ store, options: { writerId: `life-${life}` } });
      for (let i = 0; i < 5; i++) {
        await s.sendAndWait(life * 37, alert({ HostPID: life * 100 + i, UpdatedTime: formatTimeAt(life * 1000 + i) }));
      }
      counted += s.pipeline.counters.counted;
      // The process ends here, without a word.
      lost += s.pipeline.aggregator.stats.unwritten;
      await s.pipeline.controller.pause();
      store = s.store;
    }
    expect(counted).toBe(60);
    expect(lost).toBeGreaterThan(0);
    expect(store.occurrences).toBe(60 - lost);
    expect(findBackwardSteps(store.history)).toEqual([]);
  });
});

describe("a stop", () => {
  it("writes everything at any pace", async () => {
    const s = await startSimulation({ options: { writesPerSecond: 1, writeBurst: 1 } });
    for (let i = 0; i < 50; i++) s.send(alert({ PolicyName: `policy-${i}` }));
    await s.stop(1000);
    expect(s.store.reports).toHaveLength(50);
    expect(s.pipeline.aggregator.stats.unwritten).toBe(0);
  });

  it("leaves in the ledgers what it could not write in time", async () => {
    const faults = new Map<number, Fault>(Array.from({ length: 1000 }, (_, i) => [i + 1, "unknown_before"]));
    const s = await startSimulation({ faults });
    s.send(alert({ HostPID: 1 }), alert({ HostPID: 2 }), hostAlert());
    await s.stop(10_000);
    expect(s.store.reports).toEqual([]);
    expect(s.pipeline.aggregator.stats.unwritten).toBe(3);
    expect(findProblems(s)).toEqual([]);
    const calls = s.sink.calls;
    await s.clock.advance(3_600_000);
    expect(s.sink.calls).toBe(calls);
  });

  it.each([
    ["while a write hangs", false],
    ["when there is no time at all", true],
  ])("ends %s", async (_name, isAborted) => {
    const clock = new FakeClock();
    const store = new MemorySink();
    let hanging = 0;
    const pipeline = new Pipeline(createPipelineOptions(), {
      sink: {
        list: (signal) => store.list(signal),
        read: (ref, signal) => store.read(ref, signal),
        remove: (ref, version, signal) => store.remove(ref, version, signal),
        write(_report, signal) {
          hanging++;
          const gaveUp = { kind: "unknown", message: "aborted" } as const;
          return new Promise((resolve) => {
            if (signal.aborted) resolve(gaveUp);
            signal.addEventListener("abort", () => resolve(gaveUp));
          });
        },
      },
      events: { record() {} },
      clock,
      logger: silentLogger,
    });
    pipeline.controller.start();
    pipeline.onAlert(alert(), 0);
    await clock.advance(1000);
    expect(hanging).toBe(1);
    const deadline = new AbortController();
    if (isAborted) deadline.abort();
    const flushed = pipeline.controller.flush(deadline.signal);
    await clock.advance(1000);
    deadline.abort();
    await flushed;
    expect(pipeline.aggregator.stats.unwritten).toBe(1);
  });

  it("and a second pipeline over the same store go on together", async () => {
    const s = new Simulation();
    await runScript(s);
    const next = new Simulation({ store: s.store, options: { writerId: "writer-c" } });
    await runScript(next);
    expect(next.store.occurrences).toBe(30);
    expect(findBackwardSteps(next.store.history)).toEqual([]);
  });
});
