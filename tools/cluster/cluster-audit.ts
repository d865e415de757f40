// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the API server's audit log: who asked for what, and what the answer was.
// Invariant: a line that is still being written is left for the next reading.

import { existsSync, readFileSync } from "node:fs";

/** One request. A watch has two entries: `ResponseStarted` when it begins, `ResponseComplete` when it ends. */
export interface AuditEntry {
  readonly stage: "ResponseStarted" | "ResponseComplete" | "Panic";
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly apiGroup?: string;
  };
  readonly responseStatus?: { readonly code: number; readonly reason?: string };
  /** RFC 3339 with microseconds. */
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  /** Only where the cluster was started with `auditLevel: "RequestResponse"`. */
  readonly requestObject?: unknown;
  readonly responseObject?: unknown;
}

/** All whole lines of an audit log, in their order; none where there is no file yet. */
export function readAuditLog(path: string): AuditEntry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  lines.pop();
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as AuditEntry);
}
