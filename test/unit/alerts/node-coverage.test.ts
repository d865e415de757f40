// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps of nodes on a fake clock.

import { describe, expect, it } from "vitest";
import { NEW_NODE_MS, NodeCoverage, REPLACE_MS, SETTLE_MS } from "../../../src/alerts/node-coverage.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const START_MS = 1_000_000;
const MAX_SILENCE_MS = 40_000;

function setUp(nodes: readonly string[] = ["a", "b"]) {
  const clock = new FakeClock(START_MS);
  const log: string[] = [];
  const at = () => clock.nowMs() - START_MS;
  const coverage = new NodeCoverage(clock, MAX_SILENCE_MS, {
    onComplete: (_, gap) =>
      log.push(`${at()} complete${gap ? ` after ${gap.nodes} from ${gap.fromMs - START_MS}` : ""}`),
    onIncomplete: (gap, { node, message }) => log.push(`${at()} ${node} ${message} from ${gap.fromMs - START_MS}`),
  });
  for (const node of nodes) coverage.addPod(node, `${node}-1`);
  coverage.settle();
  return { clock, coverage, log };
}

/** All nodes of the default are connected. */
function setUpConnected() {
  const set = setUp();
  for (const node of ["a", "b"]) set.coverage.connected(node, `${node}-1`);
  set.log.length = 0;
  return set;
}

describe("the start", () => {
  it("is over when every node is connected", () => {
    const { coverage, log } = setUp();
    coverage.connected("a", "a-1");
    expect(log).toEqual([]);
    coverage.connected("b", "b-1");
    expect(log).toEqual(["0 complete"]);
    expect(coverage.counts).toEqual({ desired: 2, connected: 2 });
  });

  it("is over without any node", () => {
    expect(setUp([]).log).toEqual(["0 complete"]);
  });

  it("declares nodes missing that are not connected in time", async () => {
    const { clock, coverage, log } = setUp(["a", "b", "c"]);
    coverage.connected("a", "a-1");
    coverage.lost("c", "c-1", "its certificate expired");
    await clock.advance(SETTLE_MS);
    expect(log).toEqual(["30000 complete", "30000 b not connected yet from -10000"]);
    expect(coverage.missing(5)).toEqual([
      { node: "b", message: "not connected yet" },
      { node: "c", message: "its certificate expired" },
    ]);
    coverage.connected("b", "b-1");
    coverage.connected("c", "c-1");
    expect(log.at(-1)).toBe("30000 complete after 2 from -10000");
  });
});

describe("a node", () => {
  it("that is new is not a gap while its daemon starts", async () => {
    const { clock, coverage, log } = setUpConnected();
    coverage.addPod("c", "c-1");
    await clock.advance(NEW_NODE_MS - 1);
    expect(coverage.counts).toEqual({ desired: 3, connected: 2 });
    coverage.connected("c", "c-1");
    expect(log).toEqual([]);
    expect(coverage.counts).toEqual({ desired: 3, connected: 3 });
  });

  it("that is new and missing for longer than the others begins a gap of its own", async () => {
    const { clock, coverage, log } = setUpConnected();
    coverage.addPod("c", "c-1");
    await clock.advance(100_000);
    coverage.lost("a", "a-1", "14 UNAVAILABLE");
    await clock.advance(NEW_NODE_MS - 100_000);
    expect(log).toEqual([
      "100000 a 14 UNAVAILABLE from 60000",
      `${NEW_NODE_MS} complete after 1 from 60000`,
      `${NEW_NODE_MS} c not connected yet from 0`,
    ]);
    expect(coverage.missing(5).map(({ node }) => node)).toEqual(["a", "c"]);
    coverage.connected("a", "a-1");
    coverage.connected("c", "c-1");
    expect(log.at(-1)).toBe(`${NEW_NODE_MS} complete after 2 from 0`);
  });

  it("that is new and leaves before it is connected is not a gap", async () => {
    const { clock, coverage, log } = setUpConnected();
    coverage.addPod("c", "c-1");
    coverage.removePod("c", "c-1", "its pod was deleted");
    await clock.advance(NEW_NODE_MS);
    expect(log).toEqual([]);
    expect(coverage.counts).toEqual({ desired: 2, connected: 2 });
  });

  it("with a pod that is replaced is a gap until the new pod is connected", async () => {
    const { clock, coverage, log } = setUpConnected();
    await clock.advance(100_000);
    coverage.removePod("a", "a-1", "its pod was deleted");
    await clock.advance(REPLACE_MS - 1);
    coverage.addPod("a", "a-2");
    await clock.advance(REPLACE_MS);
    expect(log).toHaveLength(1);
    coverage.connected("a", "a-2");
    expect(log.at(-1)).toBe("219999 complete after 1 from 60000");
  });

  it("that left the cluster stays missing for a minute", async () => {
    const { clock, coverage, log } = setUpConnected();
    coverage.removePod("a", "a-1", "its pod was deleted");
    await clock.advance(REPLACE_MS);
    expect(log).toEqual(["0 a its pod was deleted from -40000", "60000 complete after 1 from -40000"]);
    expect(coverage.counts).toEqual({ desired: 1, connected: 1 });
  });

  it("with two pods is missing when neither is connected", () => {
    const { coverage, log } = setUpConnected();
    coverage.addPod("a", "a-2");
    coverage.connected("a", "a-2");
    coverage.removePod("a", "a-1", "its pod was deleted");
    expect(log).toEqual([]);
    coverage.lost("a", "a-2", "14 UNAVAILABLE");
    expect(log).toHaveLength(1);
  });
});

it("folds a rolling update of a thousand nodes into one gap with the number of nodes", async () => {
  const nodes = Array.from({ length: 1000 }, (_, i) => `node-${i}`);
  const { clock, coverage, log } = setUp(nodes);
  for (const node of nodes) coverage.connected(node, `${node}-1`);
  log.length = 0;
  for (const [i, node] of nodes.entries()) {
    // The next daemon stops before this one is back.
    coverage.removePod(node, `${node}-1`, "its pod was deleted");
    const before = nodes[i - 1];
    if (before !== undefined) coverage.connected(before, `${before}-2`);
    await clock.advance(1_000);
    coverage.addPod(node, `${node}-2`);
  }
  coverage.connected("node-999", "node-999-2");
  expect(log).toEqual(["0 node-0 its pod was deleted from -40000", "1000000 complete after 1000 from -40000"]);
  coverage.close();
  expect(clock.pending).toBe(0);
});
