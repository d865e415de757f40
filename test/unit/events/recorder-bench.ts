// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A recorder on a fake clock with the in-memory twin of the API server, new for each test. Every test ends with the
// counters: each recorded count is sent, pending, suppressed or lost, and never twice.

import { afterEach, beforeEach, expect } from "vitest";
import type { EventUpdate } from "../../../src/events/event-recorder.ts";
import { Recorder } from "../../../src/events/recorder.ts";
import type { RecorderOptions } from "../../../src/events/recorder-options.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryEventSink } from "./memory-event-sink.ts";

export interface RecorderBench {
  clock: FakeClock;
  /** Knows the pod shop/web-0. */
  sink: MemoryEventSink;
  recorder: Recorder;
  /** The fields of every warning that was logged. */
  warnings: object[];
  /** Starts another recorder in place of the first. */
  start: (options: RecorderOptions) => void;
  /** Records one occurrence on shop/web-0 now. */
  record: (changes?: Partial<EventUpdate>) => void;
  /** Records, and lets the recorder send what it sends at once. */
  send: (changes?: Partial<EventUpdate>) => Promise<void>;
  /** Records one occurrence on a pod that the sink knows. */
  recordOn: (namespace: string, name: string, changes?: Partial<EventUpdate>) => void;
  /** The counts that a person would read, in the order of creation. */
  counts: () => number[];
}

/** Registers the hooks that make the bench, and gives it; its fields are new in each test. */
export function setUpRecorder(): RecorderBench {
  const bench = {} as RecorderBench;
  beforeEach(() => {
    const clock = new FakeClock();
    const sink = new MemoryEventSink();
    sink.uids.set("shop/web-0", "u0");
    const warnings: object[] = [];
    const logger = { ...silentLogger, warn: (fields: object) => warnings.push(fields) };
    Object.assign(bench, {
      clock,
      sink,
      warnings,
      start: (options: RecorderOptions) => {
        bench.recorder = new Recorder(options, sink, clock, logger);
      },
      record: (changes: Partial<EventUpdate> = {}) =>
        bench.recorder.record(createUpdate(clock.nowMs() * 1000, changes)),
      send: (changes) => {
        bench.record(changes);
        return clock.advance(0);
      },
      recordOn: (namespace, name, changes) => {
        sink.uids.set(`${namespace}/${name}`, `${namespace}-${name}`);
        bench.record({ regarding: { kind: "Pod", namespace, name }, ...changes });
      },
      counts: () => [...sink.events.values()].map(({ count }) => count),
    } satisfies Omit<RecorderBench, "recorder">);
    bench.start({});
  });

  afterEach(async () => {
    expectBalance(bench.recorder);
    const stopped = bench.recorder.stop(0);
    await bench.clock.advance(0);
    await stopped;
    expectBalance(bench.recorder);
    expect(bench.recorder.stats().pending).toBe(0);
  });
  return bench;
}

/** recorded = sent + pending + Σ suppressed + Σ lost. */
export function expectBalance(recorder: Recorder): void {
  const { recorded, reported, pending, suppressed, lost } = recorder.stats();
  const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
  expect(reported + pending + sum(suppressed) + sum(lost)).toBe(recorded);
}

/** A blocked process in shop/web-0. */
export function createUpdate(us: number, changes: Partial<EventUpdate> = {}): EventUpdate {
  return {
    regarding: { kind: "Pod", namespace: "shop", name: "web-0" },
    related: { kind: "PolicyViolationReport", namespace: "shop", name: "p", uid: "r" },
    policy: "p",
    operation: "Process",
    action: "Block",
    outcome: "Prevented",
    note: "n",
    count: 1,
    firstUs: us,
    lastUs: us,
    ...changes,
  };
}
