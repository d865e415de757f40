// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The position up to which all messages of a partition are in stored reports, and its bytes in the stream.
// Invariant: pure. A position is given only when every report that had counts before it was written after it.

import * as z from "zod";
import { gapNotice, shard } from "./delta.ts";
import { DELTA_VERSION } from "./delta-codec.ts";

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** State of one source after a message. */
const source = z.strictObject({
  seq: count,
  cumulative: count,
  /** Time of the message in the stream. Milliseconds since the epoch. */
  atMs: count,
  /** Everything that the source counted before this time has been seen. Microseconds since the epoch. */
  untilUs: count,
});

/** State of one shard after the newest message of its holder, with the times of that message as in `source`. */
const knownShard = shard.extend({ source: z.string(), atMs: count, untilUs: count });

const schema = z.strictObject({
  version: z.literal(DELTA_VERSION),
  stream: z.string(),
  /** Every message up to this sequence of the stream is in the stored reports. */
  position: count,
  /** The sources as of that message. */
  sources: z.record(z.string(), source),
  /** By index. */
  shards: z.array(knownShard),
  /** No gap that was declared ends later than this. Microseconds since the epoch. */
  wholeSinceUs: count,
  /** The newest gaps that are over. */
  gaps: z.array(gapNotice).readonly().optional(),
});

export type SourceState = z.infer<typeof source>;
export type KnownShard = z.infer<typeof knownShard>;
/** Position from which another owner can continue. */
export type Checkpoint = Omit<z.infer<typeof schema>, "version" | "stream">;
/** Shards, and the end of the newest gap. */
export type ShardsSnapshot = Pick<Checkpoint, "shards" | "wholeSinceUs" | "gaps">;

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
