// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The estimate of what violations weigh against what the heap says: too small, and the process is killed for its memory.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Aggregator } from "../../../src/aggregate/aggregator.ts";
import type { Alert } from "../../../src/api/alert.ts";
import { alert, toLetters } from "../../support/gen.ts";
import { add, createAggregator, persist } from "../ingest/fold-alerts.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const VIOLATIONS = 8000;

function fill(aggregator: Aggregator, mods: (i: number) => Partial<Alert>): void {
  for (let i = 0; i < VIOLATIONS; i++) add(aggregator, alert(mods(i)));
}

/** Collects garbage until nothing more goes: what a test has held is garbage only some turns later. */
async function settleHeap(): Promise<number> {
  let heldBytes = Number.POSITIVE_INFINITY;
  for (let quiet = 0; quiet < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    quiet = heapUsed + arrayBuffers < heldBytes - 100_000 ? 0 : quiet + 1;
    heldBytes = Math.min(heldBytes, heapUsed + arrayBuffers);
  }
  return heldBytes;
}

describe("the weight of violations", () => {
  it.each<[string, (i: number) => Partial<Alert>]>([
    ["with short names", (i) => ({ Operation: "File", Resource: `/x/${toLetters(i)}` })],
    [
      "with long ones",
      (i) => ({
        Operation: "File",
        Resource: `/x/${toLetters(i)}/`.padEnd(400, "long"),
        Source: "/usr/bin/program ".padEnd(400, "argument "),
        Labels: "l".repeat(300),
      }),
    ],
    ["of many workloads", (i) => ({ OwnerName: toLetters(i), PodName: `pod-${toLetters(i)}`, Resource: "/bin/a" })],
  ])("%s is about what they take of the heap, pending and written", async (_name, mods) => {
    // Code that is compiled and cached on the first run does not count.
    fill(createAggregator(), mods);
    const before = await settleHeap();
    const aggregator = createAggregator();
    fill(aggregator, mods);
    for (const round of ["pending", "written"]) {
      if (round === "written") for (const ledger of aggregator.ledgers.values()) persist(ledger);
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      const ratio = aggregator.stats.bytes / (heapUsed + arrayBuffers - before);
      expect(ratio, `${round}: ${aggregator.stats.bytes / VIOLATIONS} bytes each`).toBeGreaterThan(0.8);
      expect(ratio, `${round}: ${aggregator.stats.bytes / VIOLATIONS} bytes each`).toBeLessThan(1.6);
    }
    expect(aggregator.stats.violations).toBe(VIOLATIONS);
  });
});
