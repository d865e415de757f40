// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A delta as bytes, and back.
// Invariant: bytes that are not exactly a delta of this version give no delta, and the reason.

import * as z from "zod";
import { type Delta, delta } from "./delta.ts";

/** Version of the messages; other versions are not read. */
export const DELTA_VERSION = 1;

/** Outcome of decoding a message. */
export type DecodedDelta =
  | { kind: "delta"; delta: Delta }
  /** A message of another version of this program. */
  | { kind: "version"; detail: string }
  /** A message of another program. */
  | { kind: "foreign"; detail: string };

const message = delta.extend({ version: z.literal(DELTA_VERSION) });

export function encodeDelta(value: Delta): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: DELTA_VERSION, ...value }));
}

/** Reads a message. Never throws. */
export function decodeDelta(bytes: Uint8Array): DecodedDelta {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return { kind: "foreign", detail: "is not JSON" };
  }
  const { version, source, seq } = (value ?? {}) as Record<string, unknown>;
  if (typeof version !== "number" || typeof source !== "string" || typeof seq !== "number")
    return { kind: "foreign", detail: "has no version, source and seq" };
  if (version !== DELTA_VERSION)
    return { kind: "version", detail: `has version ${version}; this program reads version ${DELTA_VERSION}` };
  const parsed = message.safeParse(value);
  if (parsed.success) {
    const { version: _, ...rest } = parsed.data;
    return { kind: "delta", delta: rest };
  }
  const [issue] = parsed.error.issues;
  return { kind: "version", detail: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is invalid"}` };
}
