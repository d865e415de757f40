// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bounds the memory of violations and the garbage on the heap.
// Invariant: violations are evicted at the limit, before V8 runs out of heap and ends the process.

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import type { MemoryLimits } from "../aggregate/memory-budget.ts";
import type { Logger } from "../lib/logger.ts";

/** Heap of the program, its caches and the reports in flight when each of them is full. */
const BASE_BYTES = 96 * 2 ** 20;
/** Share of the rest that violations may take; the other half is for garbage not yet collected. */
const VIOLATIONS_SHARE = 0.5;

/**
 * Has V8 collect garbage when the heap has grown by half, not by a multiple as where much memory is free. Before the
 * first alert. What it costs are more collections; `--optimize-for-size` makes the heap smaller still, at ten times that.
 */
export function limitHeapGrowth(): void {
  setFlagsFromString("--heap-growing-percent=50");
  // Threads that share the work on a small young generation take more processor time than they save: 5 to 20 % of
  // what an alert costs with 100,000 violations.
  setFlagsFromString("--no-parallel-scavenge");
  // While violations are first counted, most objects live long; V8 would go on to make those of each write as old ones.
  setFlagsFromString("--no-allocation-site-pretenuring");
}

/**
 * Returns the limits as configured, or with less weight where the heap may not grow so large, and logs that. V8 takes
 * about half of a container's memory for its limit.
 */
export function limitToHeap(
  configured: MemoryLimits,
  logger: Logger,
  heapLimitBytes = getHeapStatistics().heap_size_limit,
): MemoryLimits {
  const room = Math.floor(Math.max(0, heapLimitBytes - BASE_BYTES) * VIOLATIONS_SHARE);
  if (configured.limitBytes <= room) return configured;
  logger.info({ configured: configured.limitBytes, limitBytes: room }, "memory limit lowered to fit heap");
  return { ...configured, limitBytes: room };
}
