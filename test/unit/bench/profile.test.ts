// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { flameGraph } from "../../../bench/support/flame-graph.ts";
import { type CpuProfile, callTree, stageTimes } from "../../../bench/support/profile.ts";

function call(id: number, functionName: string, url: string, children: number[] = []) {
  return { id, callFrame: { functionName, url, lineNumber: 9 }, children };
}

/** node:net calls grpc-js, which calls our reader, which calls a built-in; and so on. */
const PROFILE: CpuProfile = {
  nodes: [
    call(1, "(root)", "", [2, 3, 4, 5, 11]),
    call(2, "(idle)", ""),
    call(3, "(garbage collector)", ""),
    call(4, "onStreamRead", "node:internal/stream_base_commons", [6]),
    call(5, "main", "file:///src/bench/repo/bench/clients/pipeline.ts"),
    call(6, "emit", "file:///src/bench/repo/node_modules/@grpc/grpc-js/build/src/call.js", [7]),
    call(7, "readAlert", "file:///src/bench/repo/src/alerts/protobuf-decoder.ts", [8, 9]),
    call(8, "utf8Slice", ""),
    call(9, "add<T>", "file:///src/bench/repo/src/aggregate/aggregator.ts", [10]),
    call(10, "update", "node:internal/crypto/hash"),
    call(11, "post", "node:inspector"),
  ],
  samples: [2, 3, 4, 6, 7, 8, 8, 9, 10, 5, 11],
  timeDeltas: [1000, 50, 100, 200, 300, 30, 10, 400, 5, 7, 3],
};

describe("a profile of processor time", () => {
  it("gives each moment to one stage: that of the code, or of its caller", () => {
    expect(stageTimes(callTree(PROFILE, "/src/bench/repo"))).toEqual({
      transport: 300,
      decode: 340,
      key: 0,
      aggregate: 405,
      write: 0,
      journal: 0,
      "garbage collection": 50,
      other: 7,
    });
  });

  it("sums up what a call and all that it calls took", () => {
    const tree = callTree(PROFILE, "/src/bench/repo");
    expect(tree.totalUs).toBe(2105);
    const read = tree.children[2]?.children[0]?.children[0];
    expect(read).toMatchObject({
      name: "readAlert",
      place: "src/alerts/protobuf-decoder.ts:10",
      selfUs: 300,
      totalUs: 745,
    });
  });
});

describe("a flame graph", () => {
  const svg = flameGraph(callTree(PROFILE, "/src/bench/repo"), "A & B");

  it("is as wide as the time that was not idle", () => {
    // 1045 of 1102 µs are below onStreamRead.
    expect(svg).toContain("onStreamRead node:internal/stream_base_commons:10 94.8 %");
    expect(svg).toMatch(/<rect x="0.0" y="\d+" width="1137.9"/);
    expect(svg).not.toContain("(idle)");
  });

  it("escapes what names hold", () => {
    expect(svg).toContain("<title>A &amp; B</title>");
    expect(svg).toContain("add&lt;T&gt; src/aggregate/aggregator.ts:10");
  });
});
