// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Order of the fields of an evidence in a report and its export.
// Invariant: each field of Evidence once; readers rely on the order only for looks.

import type { Evidence } from "./v1alpha1.ts";

/** Usual reading order; fields of later versions follow at the end. */
export const EVIDENCE_ORDER: readonly (keyof Evidence)[] = [
  "time",
  "type",
  "result",
  "cluster",
  "node",
  "nodeId",
  "pod",
  "labels",
  "containerId",
  "image",
  "process",
  "parent",
  "user",
  "cwd",
  "tty",
  "execId",
  "execName",
  "enforcer",
  "kubearmorVersion",
  "pid",
  "ppid",
  "hostPid",
  "hostPpid",
  "uid",
  "command",
  "source",
  "resource",
  "data",
  "hashes",
];
