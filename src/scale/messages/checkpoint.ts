// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The position up to which all messages of a partition are in stored reports, and its bytes in the stream.
// Invariant: pure. A position is given only when every report that had counts before it was written after it.

import * as z from "zod";
import { gapNotice, shard } from "./delta.ts";
import { DELTA_VERSION } from "./delta-codec.ts";
import type { ShardsSnapshot } from "./shard-tracker.ts";
import type { SourceState } from "./source-tracker.ts";

/** Position from which another owner can continue. */
export interface Checkpoint extends ShardsSnapshot {
  /** Every message up to this sequence of the stream is in the stored reports. */
  position: number;
  /** The sources as of that message. */
  sources: Record<string, SourceState>;
}

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const schema = z.strictObject({
  version: z.literal(DELTA_VERSION),
  stream: z.string(),
  position: count,
  sources: z.record(z.string(), z.strictObject({ seq: count, cumulative: count, atMs: count, untilUs: count })),
  shards: z.array(shard.extend({ source: z.string(), atMs: count, untilUs: count })),
  wholeSinceUs: count,
  gaps: z.array(gapNotice).optional(),
});

export class CheckpointTracker {
  #candidate: Checkpoint | undefined;
  #waiting = new Set<string>();

  /** True while the reports of a candidate are not all written. */
  get isWaiting(): boolean {
    return this.#candidate !== undefined;
  }

  /** Begins with a position and the keys of the reports that are not written up to it. */
  begin(candidate: Checkpoint, pending: Iterable<string>): void {
    this.#candidate = candidate;
    this.#waiting = new Set(pending);
  }

  /** Counts of a report that is waited for have moved to what `key` stands for. */
  waitFor(key: string): void {
    if (this.#candidate) this.#waiting.add(key);
  }

  /** The stored report holds all up to `position`. */
  onWritten(key: string, position: number): void {
    if (this.#candidate && position >= this.#candidate.position) this.#waiting.delete(key);
  }

  /** Returns the candidate once all of its reports are written; `isPending` says it of the others. */
  take(isPending: (key: string) => boolean): Checkpoint | undefined {
    for (const key of this.#waiting) if (!isPending(key)) this.#waiting.delete(key);
    if (this.#candidate === undefined || this.#waiting.size > 0) return undefined;
    const done = this.#candidate;
    this.#candidate = undefined;
    return done;
  }
}

export function encodeCheckpoint(checkpoint: Checkpoint, stream: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: DELTA_VERSION, stream, ...checkpoint }));
}

/** Reads a checkpoint of the stream; undefined for one of another stream or version, and for anything else. */
export function decodeCheckpoint(bytes: Uint8Array | undefined, stream: string): Checkpoint | undefined {
  if (!bytes) return undefined;
  try {
    const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    if (!parsed.success || parsed.data.stream !== stream) return undefined;
    const { version: _, stream: __, ...checkpoint } = parsed.data;
    return checkpoint;
  } catch {
    return undefined;
  }
}
