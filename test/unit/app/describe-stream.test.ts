// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { describeStream } from "../../../src/app/readiness.ts";

const DOWN = {
  continuousSinceMs: undefined,
  down: { lastReadMs: 1, atMs: 2, reason: "node_down", message: "node a: gone", nodes: 1 },
} as const;
const OPEN = { continuousSinceMs: 1, down: undefined };

it.each([
  ["connecting", { continuousSinceMs: undefined, down: undefined }, {}],
  ["open", OPEN, {}],
  ["down, being retried: no connection", { ...DOWN, down: { ...DOWN.down, message: "no connection" } }, {}],
  ["2 of 2 nodes are read", OPEN, { nodes: { desired: 2, connected: 2 } }],
  // The node that was lost first is back.
  [
    "2 of 3 nodes are read; node b: its certificate expired",
    DOWN,
    { nodes: { desired: 3, connected: 2 }, problem: "node b: its certificate expired" },
  ],
])("the stream is described: %s", (expected, coverage, source) => {
  expect(describeStream(coverage, source)).toBe(expected);
});
