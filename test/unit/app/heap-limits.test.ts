// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { limitToHeap } from "../../../src/app/heap-limits.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { MEMORY } from "../../support/gen.ts";

const MIB = 2 ** 20;

describe("what violations may weigh", () => {
  it.each([
    ["what is configured, where the heap is large", 4096, 256],
    ["half of what the heap has beyond 96 MiB, as in a container of 512 MiB", 259, 81.5],
    ["nothing, where the heap has no room", 64, 0],
  ])("is %s", (_, heapMib, expectedMib) => {
    const limits = { ...MEMORY, limitBytes: 256 * MIB };

    expect(limitToHeap(limits, silentLogger, heapMib * MIB)).toEqual({ ...limits, limitBytes: expectedMib * MIB });
  });
});
