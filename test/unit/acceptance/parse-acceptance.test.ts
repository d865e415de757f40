// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { behind, createStatus } from "../../../src/acceptance/conditions.ts";
import { createDenials } from "../../../src/acceptance/denials.ts";
import {
  type ReadAcceptance,
  type RefusedAcceptance,
  readAcceptance,
} from "../../../src/acceptance/parse-acceptance.ts";
import type { Identity } from "../../../src/ingest/violation/violation.ts";
import { START_US } from "../../support/gen.ts";
import { createIdentity } from "../../support/identity.ts";

const MATCH = { policy: "no-shells" };
const SPEC = { match: MATCH, reason: "the vendor's backup runs a shell" };

function read(spec: unknown, more: Record<string, unknown> = {}): ReadAcceptance {
  const metadata = { namespace: "shop", name: "backup", uid: "u", resourceVersion: "7", generation: 2 };
  const found = readAcceptance({ metadata, spec, ...more });
  if (!found) throw new Error("not read");
  return found;
}

function getProblem(spec: unknown): string | undefined {
  const { effect } = read(spec);
  return "problem" in effect ? effect.problem : undefined;
}

function isAccepted(match: Record<string, unknown>, identity: Partial<Identity> = {}): boolean {
  const { effect } = read({ ...SPEC, match: { ...MATCH, ...match } });
  if ("problem" in effect) throw new Error(effect.problem);
  return effect.acceptance.matches(createIdentity({ source: "/usr/sbin/crond", resource: "/bin/sh", ...identity }));
}

describe("an acceptance", () => {
  const workload = { kind: "Deployment", name: "web" };
  const globs = { resource: "/bin/*", source: "/usr/**" };
  const ALL = { workload, ...globs, container: "app", operation: "Process", verb: "exec", outcome: "Prevented" };

  it.each([
    ["only the policy", {}, true],
    ["all that it may name", ALL, true],
    ["another kind of workload", { workload: { kind: "StatefulSet" } }, false],
    ["another workload", { workload: { name: "db" } }, false],
    ["another container", { container: "sidecar" }, false],
    ["another operation", { operation: "File" }, false],
    ["another verb", { verb: "ptrace" }, false],
    ["a port, of what has none", { port: 443 }, false],
    ["a protocol, of what has none", { protocol: "tcp" }, false],
    ["another resource", { resource: "/sbin/*" }, false],
    ["another source", { source: "/usr/*" }, false],
    ["another outcome", { outcome: "Allowed" }, false],
  ])("that names %s matches: %#", (_what, match, expected) => {
    expect(isAccepted(match)).toBe(expected);
  });

  it.each<[string, object | undefined, string]>([
    ["an unknown key of the spec", { until: "2027" }, "spec: unknown key until, expected one of match, reason, ow"],
    ["several policies", { match: { policy: "no-*" } }, "spec.match.policy: expected one name"],
    ["no policy", { match: {} }, "spec.match.policy: must not be empty"],
    ["a reason of blanks", { reason: " " }, "spec.reason: must not be empty"],
    ["an invalid time", { expires: "soon" }, "spec.expires: expected a time such as 2027-01-31T00:00:00Z"],
    ["a null for a text", { owner: null }, "spec.owner: expected text"],
    ["nothing", undefined, "spec.match: must not be empty"],
  ])("with %s accepts nothing and says why", (_what, mods, said) => {
    expect(getProblem(mods === undefined ? undefined : { ...SPEC, ...mods })).toContain(said);
  });

  it.each<[string, object, string]>([
    [
      "a key with a typing error",
      { resorce: "/bin/sh" },
      "spec.match: unknown key resorce, expected one of policy, wo",
    ],
    ["an unknown key of the workload", { workload: { nam: "x" } }, "spec.match.workload: unknown key nam"],
    ["an invalid glob", { resource: "/bin/[" }, "spec.match.resource: unsupported ["],
    ["a source that is not a glob", { source: "***" }, "spec.match.source: three or more *"],
    ["several containers", { container: "w*" }, "spec.match.container: expected one"],
    ["an operation in lower case", { operation: "file" }, "spec.match.operation: expected a"],
    ["a verb in capitals", { verb: "SYS_X" }, "spec.match.verb: expected lower case"],
    ["an empty protocol", { protocol: "" }, "spec.match.protocol: must not be empty"],
    ["a number for a text", { container: 7 }, "spec.match.container: expected text"],
    ["a list for a workload", { workload: [] }, "spec.match.workload: expected an object"],
    ["an invalid outcome", { outcome: "Blocked" }, "spec.match.outcome: expected one of"],
    ["a port of no network", { operation: "File", port: 1 }, "port and protocol need operation"],
    ["a protocol of no network", { operation: "Syscall", protocol: "tcp" }, "port and protocol need"],
    ["an invalid port", { port: 70_000 }, "spec.match.port: expected a whole number"],
    ["a port with a fraction", { port: 1.5 }, "spec.match.port: expected a whole number"],
  ])("that matches %s accepts nothing and says why", (_what, mods, said) => {
    expect(getProblem({ ...SPEC, match: { ...MATCH, ...mods } })).toContain(said);
  });

  it("that is not an object with a name is none", () => {
    for (const item of [null, 7, {}, { metadata: { name: "x", uid: "u" } }]) {
      expect(readAcceptance(item)).toBeUndefined();
    }
  });
});

describe("an acceptance that the configuration denies", () => {
  it.each([
    ["its policy", ["no-shells"], [], "acceptances.deniedPolicies"],
    ["policies like it", ["audit-*", "no-*"], [], "acceptances.deniedPolicies"],
    ["every policy", ["*"], [], "acceptances.deniedPolicies"],
    ["its namespace", [], ["shop"], "acceptances.deniedNamespaces"],
    ["namespaces like it", [], ["kube-*", "s?op"], "acceptances.deniedNamespaces"],
  ])("by %s has no effect and says so", (_, deniedPolicies, deniedNamespaces, setting) => {
    const denied = createDenials({ deniedPolicies, deniedNamespaces })(read(SPEC));
    expect(denied.effect).toMatchObject({ reason: "Denied", problem: expect.stringContaining(setting) });
    const matched = { violations: 3, occurrences: 9 };
    const { conditions, matched: shown } = createStatus(denied, { nowUs: START_US, matched, refusal: undefined });
    expect(shown).toEqual({ violations: 0, occurrences: 0 });
    expect(conditions?.slice(0, 3).map(({ type, status, reason }) => `${type}=${status} ${reason}`)).toEqual([
      "Active=False Denied",
      "Expired=False NotExpired",
      "Invalid=True Denied",
    ]);
  });

  it("by other names has effect", () => {
    const applyDenials = createDenials({ deniedPolicies: ["no", "no-shells-*"], deniedNamespaces: ["shop-*", "SHOP"] });
    expect(applyDenials(read(SPEC)).effect).toHaveProperty("acceptance");
  });

  it("keeps the reason for which it is not valid", () => {
    const applyDenials = createDenials({ deniedPolicies: ["*"], deniedNamespaces: [] });
    expect(applyDenials(read({ ...SPEC, until: 1 })).effect).toMatchObject({ reason: "NotUnderstood" });
  });
});

describe("its status", () => {
  const standing = { nowUs: START_US, matched: { violations: 2, occurrences: 9 }, refusal: undefined };
  const said = (spec: unknown, more: Partial<typeof standing> | { refusal: RefusedAcceptance } = {}) => {
    const status = createStatus(read(spec), { ...standing, ...more });
    const conditions = status.conditions?.map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
    return { conditions, matched: status.matched };
  };
  const narrow = { ...SPEC, match: { ...MATCH, operation: "Process" } };

  it("says that it is in effect, and what it matches", () => {
    expect(said(narrow)).toEqual({
      conditions: [
        "Active=True InEffect",
        "Expired=False NotExpired",
        "Invalid=False Valid",
        "MatchesNothing=False Matches",
        "MatchesEverything=False Narrowed",
      ],
      matched: { violations: 2, occurrences: 9 },
    });
  });

  it("says that it matches nothing, or everything", () => {
    const matched = { violations: 0, occurrences: 0 };
    expect(said(narrow, { matched }).conditions).toContain("MatchesNothing=True NoViolation");
    for (const spec of [SPEC, { ...SPEC, match: { ...MATCH, resource: "**" } }])
      expect(said(spec).conditions).toContain("MatchesEverything=True OnlyThePolicy");
  });

  it("says that it has expired, to the microsecond, and matches nothing any more", () => {
    const expires = "2026-11-23T10:00:00Z";
    expect(said({ ...SPEC, expires })).toEqual({
      conditions: [
        "Active=False Expired",
        "Expired=True Expired",
        "Invalid=False Valid",
        "MatchesNothing=False Matches",
        "MatchesEverything=False Narrowed",
      ],
      matched: { violations: 0, occurrences: 0 },
    });
    expect(said({ ...SPEC, expires: "2026-11-23T10:00:00.000001Z" }).conditions).toContain("Active=True InEffect");
  });

  it("says why it has no effect", () => {
    const invalid = (reason: string) => ["Active=False Invalid", "Expired=False NotExpired", `Invalid=True ${reason}`];
    expect(said({ ...SPEC, until: 1 }).conditions?.slice(0, 3)).toEqual(invalid("NotUnderstood"));
    const refusal = { problem: "too many", reason: "TooMany" } as const;
    expect(said(SPEC, { refusal }).conditions?.slice(0, 3)).toEqual(invalid("TooMany"));
  });

  it("keeps a condition's time until its status changes, and is behind in words or in numbers only", () => {
    const first = createStatus(read(narrow), standing);
    const stored = read(narrow, { status: first });
    const later = { ...standing, nowUs: START_US + 60_000_000 };
    expect(behind(stored.status, createStatus(stored, later))).toBe("no");
    expect(behind(stored.status, createStatus(stored, { ...later, matched: { violations: 2, occurrences: 10 } }))).toBe(
      "numbers",
    );
    const empty = createStatus(stored, { ...later, matched: { violations: 0, occurrences: 0 } });
    expect(behind(stored.status, empty)).toBe("words");
    const times = empty.conditions?.map((c) => c.lastTransitionTime.slice(14, 19));
    expect(times?.join(" ")).toBe("00:00 00:00 00:00 01:00 00:00");
  });
});
