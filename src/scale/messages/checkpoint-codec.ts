// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A checkpoint as bytes, and back.

import * as z from "zod";
import type { Checkpoint } from "./checkpoint.ts";
import { DELTA_VERSION, shard } from "./delta-codec.ts";

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const schema = z.strictObject({
  version: z.literal(DELTA_VERSION),
  stream: z.string(),
  position: count,
  sources: z.record(z.string(), z.strictObject({ seq: count, cumulative: count, atMs: count, untilUs: count })),
  shards: z.array(shard.extend({ source: z.string(), atMs: count, untilUs: count })),
  wholeSinceUs: count,
});

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
