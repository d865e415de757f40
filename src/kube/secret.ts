// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns how one Secret is read.
// Invariant: one GET by name, so that the right to one Secret is enough; its contents are in no message.

import { toObject } from "../lib/json.ts";
import { toApiPath } from "../lib/object-key.ts";
import { ApiError } from "./api-error.ts";
import type { ApiRequester } from "./client.ts";

export interface SecretName {
  namespace: string;
  name: string;
}

/** Answer of the API server. */
export type SecretReading =
  | { kind: "found"; data: ReadonlyMap<string, Buffer> }
  | { kind: "absent" }
  | { kind: "forbidden"; message: string }
  /** No answer that shows if the Secret exists. */
  | { kind: "unanswered"; message: string };

const TIMEOUT_MS = 5_000;

/** Reads a Secret within 5 s; never rejects. */
export async function readSecret(
  client: ApiRequester,
  secret: SecretName,
  signal: AbortSignal,
): Promise<SecretReading> {
  const path = toApiPath("/api/v1", "secrets", secret);
  try {
    const found = await client.request<{ data?: unknown }>({ method: "GET", path, timeoutMs: TIMEOUT_MS, signal });
    return { kind: "found", data: decodeData(found?.data) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Of a proxy's 404, or that of a server without the API, the code is another: only a Status that names the Secret
    // says that it does not exist.
    if (error.code === "NotFound") return { kind: "absent" };
    const kind = error.code === "Forbidden" ? "forbidden" : "unanswered";
    return { kind, message: error.message };
  }
}

function decodeData(data: unknown): ReadonlyMap<string, Buffer> {
  const entries = Object.entries(toObject(data));
  return new Map(
    entries.flatMap(([key, value]) =>
      typeof value === "string" ? [[key, Buffer.from(value, "base64")] as const] : [],
    ),
  );
}
