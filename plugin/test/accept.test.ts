// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseGlob } from "../../src/lib/glob.ts";
import { hasDotSegments, resolveDotSegments } from "../../src/lib/path.ts";
import type { Acceptance } from "../src/reports/sources/report-source.ts";
import { createMemoryReports, report, runPlugin, violation } from "./session.ts";

const ID = "00000000000000aa";
const FOLDED = "/tmp/[x]-*{a,b}\\?!(y)";
const REPORTS = [report("p", [violation({ resource: FOLDED, verb: "exec" })], { policy: { name: "P.one" } })];
const accept = (flags: readonly string[], reports = REPORTS) =>
  runPlugin(["accept", ID, "-n", "shop", "--reason", "vendor", ...flags], { reports });

describe("accept", () => {
  test("prints an AcceptedViolation for exactly this violation", async () => {
    const { code, out, err } = await accept(["--expires", "90d", "--owner", "team-web"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { resource, ...match } = parse(out).spec.match;
    expect(parse(out)).toMatchObject({
      apiVersion: "reports.kubearmor.com/v1alpha1",
      kind: "AcceptedViolation",
      metadata: { name: `accept-${ID}`, namespace: "shop" },
      spec: { reason: "vendor", owner: "team-web", expires: "2027-02-21T10:00:00Z" },
    });
    expect(match).toEqual({
      policy: "P.one",
      workload: { kind: "Deployment", name: "web" },
      container: "web",
      operation: "Process",
      verb: "exec",
      source: "/bin/sh",
      outcome: "Prevented",
    });
    const glob = parseGlob(resource);
    if ("problem" in glob) throw new Error(glob.problem);
    expect(glob.matches(FOLDED)).toBe(true);
    expect(glob.matches("/tmp/[x]-9{a,b}\\?!(y)")).toBe(false);
  });

  test("says what the violation does not have, so that no other is accepted", async () => {
    const bare = violation({ operation: "Syscall", resource: "", source: "" });
    delete bare.container;
    const { out } = await accept([], [report("p", [bare])]);
    expect(parse(out).spec.match).toMatchObject({ container: "", verb: "", resource: "", source: "" });
  });

  test.each([
    ["./a/../b", "b"],
    ["../../b", "../../b"],
    ["family=AF_UNIX sun_path=../s", "family=AF_UNIX sun_path=../s"],
    ["/a..b/..c", "/a..b/..c"],
  ])("writes %j as a glob that the API server takes", async (resource, meant) => {
    const { out } = await accept([], [report("p", [violation({ resource })])]);
    const written = parse(out).spec.match.resource;
    expect(hasDotSegments(written)).toBe(false);
    const glob = parseGlob(written);
    if ("problem" in glob) throw new Error(glob.problem);
    expect(resolveDotSegments(resource)).toBe(meant);
    expect(glob.matches(meant)).toBe(true);
  });

  test("applies it when asked", async () => {
    const applied: object[] = [];
    const source = {
      ...createMemoryReports(REPORTS, { heartbeat: { state: "silent", lease: "kubearmor/pvo", forMs: 720_000 } }),
      async apply(acceptance: object) {
        applied.push(acceptance);
        return "created" as const;
      },
    };
    const { code, out, err } = await runPlugin(["accept", ID, "--reason", "x", "--name", "mine", "--apply"], {
      reports: source,
    });
    expect({ code, out }).toEqual({ code: 0, out: "acceptedviolation shop/mine created\n" });
    expect(err).toContain("the operator has not renewed its Lease kubearmor/pvo");
    expect(applied).toMatchObject([{ metadata: { name: "mine", namespace: "shop" } }]);
  });

  test.each<[string[], number, RegExp]>([
    [["--reason", " "], 2, /--reason is required/],
    [["--expires", "soon"], 2, /invalid value "soon" for --expires/],
    [["--expires", "2020-01-01"], 2, /it is in the past/],
    [["--name", "A b"], 2, /invalid value "A b" for --name/],
    [["--policy", "other"], 3, /no violation 00000000000000aa matches the flags/],
    [["--apply"], 2, /--apply needs a cluster/],
  ])("%j ends with %i", async (flags, code, message) => {
    const outcome = await accept(flags);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(message);
  });

  test("is named by the whole id where its beginning was given", async () => {
    const { out } = await runPlugin(["accept", ID.slice(0, 8), "--reason", "x"], {
      reports: [report("P.one", [violation()])],
    });
    expect(parse(out).metadata.name).toBe(`accept-${ID}`);
  });

  test("takes one violation alone, of a namespace", async () => {
    const several = [report("a", [violation()]), report("b", [violation()])];
    expect((await accept([], several)).err).toContain("several reports list 00000000000000aa (shop/a, shop/b)");
    expect((await accept(["--policy", "b"], several)).code).toBe(0);
    const host = [report("h", [violation()], { namespace: undefined })];
    const refused = await runPlugin(["accept", ID, "--reason", "x"], { reports: host });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("only violations in a namespace") });
    expect((await runPlugin(["accept", "../x", "--reason", "x"])).err).toContain('invalid id "../x"');
  });
});

describe("accepted", () => {
  const acceptance = (name: string, mods: Partial<Acceptance["spec"]> = {}, active = true): Acceptance => ({
    metadata: { name, namespace: "shop" },
    spec: { match: { policy: "p" }, reason: "a reason", ...mods },
    status: {
      matched: { violations: 2, occurrences: 9 },
      conditions: [
        {
          type: active ? "Active" : "Expired",
          status: "True",
          reason: "x",
          message: "",
          lastTransitionTime: "2026-11-01T00:00:00Z",
          observedGeneration: 1,
        },
      ],
    },
  });
  const acceptances = [
    acceptance("never"),
    acceptance("later", { expires: "2027-11-23T10:00:00Z", owner: "team" }),
    acceptance("past", { expires: "2026-11-13T10:00:00Z" }, false),
    { metadata: { name: "odd", namespace: "shop" }, spec: 7 as never },
  ];

  test("lists what expires first at the top", async () => {
    const { code, out } = await runPlugin(["accepted", "-n", "shop"], { reports: [], acceptances });
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => line.replace(/ {2,}/g, "|"))).toEqual([
      "NAME|STATE|EXPIRES|MATCHED|OWNER|POLICY|REASON",
      "past|Expired|10d ago|2|-|p|a reason",
      "later|Active|in 365d|2|team|p|a reason",
      "never|Active|never|2|-|p|a reason",
      "odd|Unknown|never|-|-|-|-",
      "",
    ]);
  });

  test("shows no state that the operator can't have seen", async () => {
    const past = acceptance("past", { expires: "2026-11-13T10:00:00Z" });
    const changed = acceptance("changed");
    const stale = { ...changed, metadata: { ...changed.metadata, generation: 2 } };
    const { out, err } = await runPlugin(["accepted", "-n", "shop", "--no-headers"], {
      reports: [],
      acceptances: [past, { ...stale, status: { ...stale.status, observedGeneration: 1 } }],
      heartbeat: { state: "silent", lease: "kubearmor/pvo", forMs: 720_000 },
    });
    expect(
      out
        .trim()
        .split("\n")
        .map((line) => line.split(/ {2,}/)[1]),
    ).toEqual(["Expired", "Unknown"]);
    expect(err).toContain("the operator has not renewed its Lease kubearmor/pvo");
  });

  test.each([
    ["Denied", "Denied"],
    ["NotUnderstood", "Invalid"],
  ])("shows a refusal with the reason %s as %s", async (reason, state) => {
    const refused = acceptance("refused");
    const conditions = refused.status?.conditions?.map((one) => ({ ...one, type: "Invalid", reason }));
    const { out } = await runPlugin(["accepted", "-n", "shop", "--no-headers"], {
      reports: [],
      acceptances: [{ ...refused, status: { ...refused.status, conditions } } as Acceptance],
    });
    expect(out.split(/ {2,}/)[1]).toBe(state);
  });

  test("has data, a limit, and a word for none", async () => {
    const { out } = await runPlugin(["accepted", "-n", "shop", "-o", "json", "--limit", "1"], {
      reports: [],
      acceptances,
    });
    expect(JSON.parse(out).acceptedViolations).toMatchObject([{ metadata: { name: "past" } }]);
    const none = await runPlugin(["accepted", "-n", "other"], { reports: [], acceptances });
    expect(none).toEqual({ code: 0, out: "", err: "No AcceptedViolation exists in namespace other.\n" });
  });
});
