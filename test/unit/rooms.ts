// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rooms of `src` and the layers that they form.

/** `src/ingest/x.ts` is in ingest; a file of src itself is a room of its own. */
export function getRoom(path: string): string {
  return path.split("/")[1] ?? path;
}

/**
 * Rooms that each room may import, types included; a room may import itself. The order is that of the layers: a room
 * imports only rooms above it.
 */
export const ROOMS: Record<string, readonly string[]> = {
  api: [],
  lib: [],
  ingest: ["api", "lib"],
  aggregate: ["api", "lib", "ingest"],
  report: ["api", "lib", "ingest", "aggregate"],
  alerts: ["api", "lib"],
  kube: ["api", "lib"],
  config: ["lib"],
  telemetry: ["lib"],
  sinks: ["api", "lib", "kube"],
  policies: ["api", "lib", "kube", "report"],
  acceptance: ["api", "lib", "kube", "report"],
  events: ["api", "lib", "kube", "ingest", "aggregate"],
  journal: ["api", "lib", "ingest", "aggregate"],
  reconcile: ["api", "lib", "ingest", "aggregate", "report", "sinks"],
  leadership: ["api", "lib", "ingest", "aggregate", "report", "kube", "config", "sinks", "journal", "reconcile"],
  scale: ["api", "lib", "ingest", "aggregate", "report", "alerts", "kube", "sinks", "reconcile", "leadership"],
  app: ["*"],
  cli: ["api", "lib", "ingest", "alerts", "config", "events", "sinks", "app"],
  "main.ts": ["*"],
};
