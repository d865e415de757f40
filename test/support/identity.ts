// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import type { Identity } from "../../src/ingest/violation/violation.ts";

/** The identity of a shell's call of `/usr/bin/apt`, with changes. */
export function createIdentity(mods: Partial<Identity> = {}): Identity {
  return {
    operation: "Process",
    verb: "exec",
    action: "Block",
    outcome: "Prevented",
    workload: { kind: "Deployment", name: "web" },
    container: "app",
    source: "/bin/bash",
    resource: "/usr/bin/apt",
    namespace: "",
    ...mods,
  };
}
