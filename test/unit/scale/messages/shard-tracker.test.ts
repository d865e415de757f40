// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { ShardTracker } from "../../../../src/scale/messages/shard-tracker.ts";

const READ = { index: 0, desired: 3, connected: 3, missingSinceUs: null };
const MISSING = { ...READ, connected: 2, missingSinceUs: 500 };

function createTracker(): ShardTracker {
  return new ShardTracker({ shards: [], wholeSinceUs: 0 });
}

describe("ShardTracker", () => {
  it("counts the nodes of a shard once, also after a change of holders", () => {
    const tracker = createTracker();
    tracker.update([READ, { ...READ, index: 1 }], { source: "a", atMs: 1000, untilUs: 1000 });
    tracker.update([READ], { source: "b", atMs: 5000, untilUs: 5000 });
    expect(tracker.nodes(0)).toEqual({ desired: 6, connected: 6 });
    expect(tracker.nodes(2000)).toEqual({ desired: 3, connected: 3 });
  });

  it("keeps what the newer holder said where a message of the one before is stored late", () => {
    const tracker = createTracker();
    tracker.update([MISSING], { source: "b", atMs: 1, untilUs: 9000 });
    expect(tracker.update([READ], { source: "a", atMs: 2, untilUs: 8000 })).toEqual([]);
    expect(tracker.open).toEqual([500]);
  });

  it("ends a gap where the shard is read, or missing since another time", () => {
    const tracker = createTracker();
    const message = { source: "a", atMs: 1, untilUs: 1 };
    expect(tracker.update([MISSING], message)).toEqual([]);
    expect(tracker.update([MISSING], message)).toEqual([]);
    expect(tracker.update([{ ...MISSING, missingSinceUs: 600 }], message)).toEqual([500]);
    expect(tracker.update([READ], message)).toEqual([600]);
  });

  it("continues from a snapshot", () => {
    const tracker = createTracker();
    tracker.update([MISSING], { source: "a", atMs: 1, untilUs: 1 });
    tracker.onGap({ type: "gap", kind: "NodeDown", fromUs: 600, toUs: 700, nodes: 1, count: 0 });
    const next = new ShardTracker(tracker.snapshot());
    expect(next.update([READ], { source: "b", atMs: 2, untilUs: 2 })).toEqual([500]);
    expect(next.wholeSinceUs(1, 0)).toBe(700);
  });
});
