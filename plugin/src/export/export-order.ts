// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The order of the keys in an exported report: the one in which the operator writes them, which reads best. An API
// server gives them back in the order of the alphabet.
// Invariant: pure; nothing is left out, and a key that is not known here comes after those that are.

import { EVIDENCE_ORDER } from "../../../src/api/evidence-order.ts";

const ORDER: Readonly<Record<string, readonly string[]>> = {
  "": ["apiVersion", "kind", "metadata", "policy", "summary", "violations", "omitted", "expired", "coverage"],
  metadata: ["name", "namespace", "labels", "annotations"],
  policy: ["name", "kind", "severity", "tags", "message", "provenance", "objects", "changedSinceLastSeen"],
  summary: [
    ...["occurrences", "prevented", "allowed", "unknown", "violations", "workloads", "pods", "nodes"],
    ...["severity", "firstSeen", "lastSeen", "history", "accepted", "open"],
  ],
  "policy.objects": ["kind", "namespace", "uid", "generation", "changedAt", "source"],
  "policy.objects.source": ["tool", "kind", "name", "namespace"],
  "summary.history": ["hourly", "daily", "lowerBound"],
  "summary.history.hourly": ["start", "prevented", "allowed", "unknown"],
  "summary.history.daily": ["start", "prevented", "allowed", "unknown"],
  "summary.accepted": ["violations", "occurrences"],
  "summary.open": ["occurrences", "prevented", "allowed", "unknown", "violations", "severity"],
  violations: [
    ...[
      "id",
      "workload",
      "namespace",
      "node",
      "container",
      "operation",
      "verb",
      "severity",
      "tags",
      "message",
      "action",
      "outcome",
      "accepted",
      "source",
      "resource",
    ],
    ...["occurrences", "lowerBound", "firstSeen", "lastSeen", "pods", "latest"],
  ],
  "violations.workload": ["kind", "name"],
  "violations.pods": ["name", "node", "occurrences", "lastSeen"],
  "violations.latest": EVIDENCE_ORDER,
  "violations.latest.hashes": ["algorithm", "process", "parent", "resource"],
  omitted: ["violations", "occurrences"],
  expired: ["violations", "occurrences"],
  coverage: ["continuousSince", "gaps", "throttleNotices", "rejected", "withoutDetails", "lowerBound", "recent"],
  "coverage.recent": ["kind", "from", "to", "seconds", "container", "pod", "node", "count"],
};

/** Returns the value with the keys of all its objects in the order of an export; `path` is where it is in a report. */
export function sortFields<T>(value: T, path = ""): T {
  return sortKeys(value, path) as T;
}

function sortKeys(value: unknown, path: string): unknown {
  if (Array.isArray(value)) return value.map((item) => sortKeys(item, path));
  if (typeof value !== "object" || value === null) return value;
  const known = ORDER[path] ?? [];
  const rank = (key: string) => (known.includes(key) ? known.indexOf(key) : known.length);
  const keys = Object.keys(value).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const record = value as Record<string, unknown>;
  return Object.fromEntries(keys.map((key) => [key, sortKeys(record[key], path === "" ? key : `${path}.${key}`)]));
}
