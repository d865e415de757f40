// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import {
  type Identity,
  identityKey,
  podKey,
  reportKey,
  violationId,
} from "../../../../src/ingest/violation/violation.ts";
import { createIdentity } from "../../../support/identity.ts";

describe("keys", () => {
  const identity = createIdentity({ workload: { kind: "Deployment", name: "wordpress" }, container: "wordpress" });

  it("make an id that stays what it is, in every version", () => {
    expect(violationId(identityKey(identity))).toBe("9ff5d090317b94bb");
  });

  it.each<[keyof Identity, Partial<Identity>]>([
    ["operation", { operation: "File" }],
    ["verb", { verb: "ptrace" }],
    ["action", { action: "Audit" }],
    ["outcome", { outcome: "Allowed" }],
    ["workload", { workload: { kind: "Deployment", name: "other" } }],
    ["workload", { workload: { kind: "Pod", name: "wordpress" } }],
    ["container", { container: "other" }],
    ["source", { source: "/bin/dash" }],
    ["resource", { resource: "/usr/bin/apt-get" }],
    ["namespace", { namespace: "gone" }],
  ])("differ by %s", (_part, mods) => {
    expect(identityKey({ ...identity, ...mods })).not.toBe(identityKey(identity));
  });

  it("do not let one part run into the next", () => {
    const a = { ...identity, source: "ab", resource: "c" };
    const b = { ...identity, source: "a", resource: "bc" };
    expect(identityKey(a)).not.toBe(identityKey(b));
  });

  it("of reports distinguish scopes", () => {
    expect(reportKey(undefined, "p")).not.toBe(reportKey("p", ""));
    expect(reportKey("a", "b")).not.toBe(reportKey("ab", ""));
    expect(reportKey("a", "b")).toBe(reportKey("a", "b"));
  });

  it("of pods need the node only where pods of several namespaces meet", () => {
    expect(podKey("shop", "web-1", "n1")).toBe(podKey("shop", "web-1", "n2"));
    expect(podKey(undefined, "web-1", "n1")).not.toBe(podKey(undefined, "web-1", "n2"));
  });
});
