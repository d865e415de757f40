// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { CheckpointTracker, decodeCheckpoint, encodeCheckpoint } from "../../../../src/scale/messages/checkpoint.ts";

const CANDIDATE = {
  position: 10,
  sources: { reader: { seq: 1, cumulative: 2, atMs: 3, untilUs: 4 } },
  shards: [
    { index: 0, desired: 2, connected: 1, missingSinceUs: 5, source: "reader", atMs: 3, untilUs: 4 },
    { index: 1, desired: 2, connected: 2, missingSinceUs: null, source: "reader", atMs: 3, untilUs: 4 },
  ],
  wholeSinceUs: 6,
};

describe("CheckpointTracker", () => {
  it("gives a position when all reports are written beyond it", () => {
    const tracker = new CheckpointTracker();
    tracker.begin(CANDIDATE, ["a", "b"]);
    tracker.onWritten("a", 9);
    tracker.onWritten("b", 12);
    expect(tracker.take(() => true)).toBeUndefined();
    tracker.onWritten("a", 10);
    expect(tracker.take(() => true)).toEqual(CANDIDATE);
    expect(tracker.take(() => true)).toBeUndefined();
  });

  it("does not wait for a report that has nothing pending", () => {
    const tracker = new CheckpointTracker();
    tracker.begin(CANDIDATE, ["a"]);
    expect(tracker.take(() => false)).toEqual(CANDIDATE);
  });
});

it("a checkpoint is read back for its own stream only", () => {
  const bytes = encodeCheckpoint(CANDIDATE, "stream-1");
  expect(decodeCheckpoint(bytes, "stream-1")).toEqual(CANDIDATE);
  expect(decodeCheckpoint(bytes, "stream-2")).toBeUndefined();
  expect(decodeCheckpoint(new TextEncoder().encode("no JSON"), "stream-1")).toBeUndefined();
  expect(decodeCheckpoint(undefined, "stream-1")).toBeUndefined();
});
