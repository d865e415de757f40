// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The order in which a report and its export tell the fields of an evidence.
// Invariant: each field of Evidence once; readers rely on the order only for looks.

import type { Evidence } from "./v1alpha1.ts";

/** How people are used to reading it; what a later version adds comes behind it. */
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
