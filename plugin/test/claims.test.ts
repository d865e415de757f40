// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Claims that no output may make: every command and form, on a cut list, without a running operator, behind a filter, and where
// everything that is listed is accepted.

import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { type PluginOptions, report, runPlugin, violation } from "./session.ts";

/** One accepted violation is listed, and three open ones are only in the totals: of any outcome, severity and age. */
const CUT: Report = report("files", [violation({ outcome: "Allowed", action: "Audit", accepted: { by: "known" } })], {
  omitted: { violations: 3, occurrences: 7 },
  policy: { severity: 9 },
  severity: "critical",
  summary: {
    occurrences: 10,
    allowed: 8,
    prevented: 2,
    violations: 4,
    open: { occurrences: 7, prevented: 2, allowed: 5, unknown: 0, violations: 3, severity: "critical" },
    accepted: { violations: 1, occurrences: 3 },
  },
});
/** Everything is listed, and all of it is accepted. */
const ACCEPTED: Report = report(
  "files",
  [violation({ outcome: "Allowed", action: "Audit", accepted: { by: "known" } })],
  {
    summary: {
      open: { occurrences: 0, prevented: 0, allowed: 0, unknown: 0, violations: 0, severity: "accepted" },
      accepted: { violations: 1, occurrences: 3 },
    },
  },
);
const SILENT: PluginOptions["heartbeat"] = { state: "silent", lease: "kubearmor/pvo", forMs: 720_000 };
const UNKNOWN: PluginOptions["heartbeat"] = { state: "unknown", why: "you may not get its Lease" };

const LISTS = [
  ["list"],
  ["list", "-o", "wide"],
  ["list", "-o", "json"],
  ["list", "-o", "yaml"],
  ["list", "-o", "csv"],
  ["list", "-o", "name"],
  ["list", "-o", "jsonpath={.violations[*].id}"],
  ["list", "-o", "custom-columns=ID:.id"],
  ["timeline"],
  ["audit"],
  ["audit", "--format", "markdown"],
];
const GATES = [
  ["gate"],
  ["gate", "--all"],
  ["gate", "--all", "-o", "json"],
  ["gate", "--all", "-o", "junit"],
  ["gate", "--all", "-o", "sarif"],
];
const READINESS = [["readiness"], ["readiness", "-o", "json"], ["readiness", "files"]];
const FILTERS = [[], ["--severity", "high"], ["--outcome", "prevented"], ["--workload", "db"], ["--since", "1h"]];

const ENFORCED = /every rule that says Block was enforced|all rules.*enforced/i;
const NOTHING =
  /\bno violations?\b|\bno open violations?\b|nothing (?:was|is) (?:violated|open)|"?PASSED|"passed": true/i;
const HAS_PASSED = /PASSED|"passed": true/;
const IS_CUT =
  /\bcut\b|only in the totals|omitted|"complete": false|complete: false|can't list|"unlisted": \[\s*\{|"unlisted:1"/i;

async function run(command: readonly string[], options: PluginOptions) {
  const { code, out, err } = await runPlugin([...command, "-A"], options);
  return { code, text: out + err };
}

describe("a cut list", () => {
  const options = { reports: [CUT] };

  test.each(FILTERS.flatMap((filter) => LISTS.map((command) => [[...command, ...filter]])))(
    "is named as one, and never taken for an empty one: %j",
    async (command) => {
      const { text } = await run(command, options);
      expect(text).toMatch(IS_CUT);
      expect(text).not.toMatch(NOTHING);
      expect(text).not.toMatch(ENFORCED);
    },
  );

  test.each(FILTERS.flatMap((filter) => GATES.map((command) => [[...command, ...filter]])))(
    "does not pass: %j",
    async (command) => {
      const { code, text } = await run(command, options);
      expect([1, 3]).toContain(code);
      expect(text).toMatch(IS_CUT);
      expect(text).not.toMatch(HAS_PASSED);
    },
  );

  test.each(READINESS.map((command) => [command]))("is not ready: %j", async (command) => {
    const { code, text } = await run(command, options);
    expect([1, 3]).toContain(code);
    expect(text.replace(/not ready|"notReady"/gi, "")).not.toMatch(/\bready\b(?!")/i);
  });

  test("is named in the explanation of its report", async () => {
    const { text } = await run(["explain", "shop/files"].slice(0, 2), options);
    expect(text).toMatch(IS_CUT);
  });
});

describe.each([
  ["silent", SILENT],
  ["unknown", UNKNOWN],
])("an operator that is %s", (_, heartbeat) => {
  const prevented = report("files", [violation()]);

  test.each([[[]], [[ACCEPTED]], [[prevented]]].flatMap(([reports]) => GATES.map((command) => [command, reports])))(
    "passes no gate: %j",
    async (command, reports) => {
      const { code, text } = await run(command as string[], { reports: reports as Report[], heartbeat });
      expect([1, 3]).toContain(code);
      expect(text).not.toMatch(HAS_PASSED);
      // In SARIF, whether the gate could find out.
      if (code === 3) expect(text).not.toMatch(/"executionSuccessful": true/);
    },
  );

  test.each(READINESS.map((command) => [command]))("makes no policy ready: %j", async (command) => {
    const { code, text } = await run(command, { reports: [prevented], heartbeat });
    expect([1, 3]).toContain(code);
    expect(text.replace(/not ready/gi, "")).not.toMatch(/\bready\b(?!")/i);
  });

  test.each([[["list"]], [["list", "-o", "json"]], [["timeline"]]])(
    "is named where there is nothing to see: %j",
    async (command) => {
      const { text } = await run(command, { reports: [], heartbeat });
      expect(text).toContain("note: ");
      expect(text).not.toMatch(NOTHING);
    },
  );

  test.each([[["audit"]], [["audit", "--format", "markdown"]]])("is a warning: %j", async (command) => {
    const { text } = await run(command, { reports: [prevented], heartbeat });
    expect(text).toMatch(/class="banner bad"|\*\*Warning:\*\*/);
    expect(text).not.toMatch(ENFORCED);
  });
});

test.each([[["list"]], [["timeline"]], [["explain", "shop/files"]]])(
  "reports of an operator that is not running are old: %j",
  async ([command, ...rest]) => {
    const reports = [report("files", [violation()])];
    const call = (heartbeat: PluginOptions["heartbeat"]) =>
      runPlugin([command as string, ...rest, "-n", "shop"], { reports, ...(heartbeat && { heartbeat }) });
    expect((await call(SILENT)).err).toContain("the reports are as old as that");
    // Its Lease may have another name.
    expect((await call(UNKNOWN)).err).toBe("");
  },
);

test("a violation in more pods than it lists may be in any pod, and on any node", async () => {
  const pods = [{ name: "web-1", node: "n1", occurrences: 2, lastSeen: "2026-11-23T09:59:00.000000Z" }];
  const cut = [report("files", [violation({ outcome: "Allowed", occurrences: 3, pods })])];
  const whole = [report("files", [violation({ outcome: "Allowed", occurrences: 2, pods })])];
  for (const flags of [
    ["--pod", "web-9"],
    ["--node", "n9"],
  ]) {
    expect((await run(["gate", "--all", ...flags], { reports: cut })).code).toBe(1);
    expect((await run(["gate", "--all", ...flags], { reports: whole })).code).toBe(0);
  }
  expect((await run(["list", "-o", "wide"], { reports: cut })).text).toMatch(/ 1\+ /);
  expect((await run(["explain", "shop/files"].slice(0, 2), { reports: cut })).text).toContain(
    "web-1 on n1 (2), and others, with 1 occurrence.",
  );
});

describe("what left a list for its age", () => {
  const reports = [
    report("files", [violation()], {
      expired: { violations: 2, occurrences: 5 },
      summary: { occurrences: 8, allowed: 5, violations: 3 },
    }),
  ];

  test("is named where nothing is found", async () => {
    const { text } = await run(["list", "--outcome", "allowed"], { reports });
    expect(text).not.toMatch(NOTHING);
    expect(text).toContain("2 violations with 5 occurrences left the list for their age");
  });

  test("is named by the gate that looks at any age", async () => {
    const { code, text } = await run(["gate", "--all", "--outcome", "allowed"], { reports });
    expect(code).toBe(0);
    expect(text).toContain("Passed over: 2 violations with 5 occurrences left the list for their age");
    expect((await run(["gate"], { reports })).text).not.toContain("left the list");
  });
});

describe("the rules that say Block", () => {
  const coverage = { continuousSince: "2026-11-01T00:00:00.000000Z" };
  const audit = async (mods: Parameters<typeof violation>[0]) =>
    (await run(["audit"], { reports: [report("files", [violation(mods)], { coverage })] })).text;

  test("were not enforced where nothing against one is recorded", async () => {
    expect(await audit({ action: "Audit", outcome: "Allowed" })).toContain(
      "No occurrence against a rule that says Block is recorded.",
    );
    expect(await audit({})).toContain("Every recorded occurrence against a rule that says Block was prevented.");
  });

  test.each<[string, object, PluginOptions]>([
    ["alerts are known to be missing", { gaps: 1, lowerBound: true }, {}],
    ["alerts may be missing now", {}, { heartbeat: { state: "cutOff", sinceMs: 0 } }],
    ["the operator may not be running", {}, { heartbeat: { state: "unknown", why: "no Lease" } }],
  ])("failed at least where listed violations were allowed and %s", async (_, mods, options) => {
    const allowed = violation({ outcome: "Allowed", action: "Block" });
    const of = async (mods: object, options: PluginOptions) =>
      (await run(["audit"], { reports: [report("files", [allowed], { coverage: mods })], ...options })).text;
    expect(await of({ ...coverage, ...mods }, options)).toContain("At least 1 violation of rules that say Block");
    expect(await of(coverage, {})).not.toContain("At least 1 violation of rules");
  });

  test("are unknown where alerts do not say what their rule is", async () => {
    const { action: _, ...silent } = violation({ outcome: "Allowed" });
    const { text } = await run(["audit"], { reports: [report("files", [silent])] });
    expect(text).toContain("is unknown: alerts of what was allowed do not say what their rule is");
  });
});

test("a limit holds in every form of the gate, and says what it leaves out", async () => {
  const reports = ["a", "b"].map((name) =>
    report(name, [violation({ outcome: "Allowed" }), violation({ id: "00000000000000ab", outcome: "Allowed" })]),
  );
  const gate = async (form: string) => (await run(["gate", "--all", "--limit", "1", "-o", form], { reports })).text;
  expect(await gate("text")).toContain("and 3 more");
  expect(JSON.parse(await gate("json"))).toMatchObject({ count: 4, violations: [{}] });
  const junit = await gate("junit");
  expect(junit.match(/<failure/g)).toHaveLength(2);
  expect(junit).toContain("3 violations beyond --limit");
  expect(junit).not.toContain("no open violation");
  const [sarif] = JSON.parse(await gate("sarif")).runs;
  expect(sarif.results).toHaveLength(1);
  expect(sarif.properties.leftOut).toBe("3 results beyond --limit");
});

describe("a filter", () => {
  const reports = [report("files", [violation({ outcome: "Allowed", action: "Audit (Block)" })])];

  test.each([["html"], ["markdown"]])("hides nothing that says Block and was allowed: %s", async (format) => {
    for (const filter of [
      ["--outcome", "prevented"],
      ["--workload", "db"],
      ["--severity", "critical"],
    ]) {
      const { text } = await run(["audit", "--format", format, ...filter], { reports });
      expect(text).not.toMatch(ENFORCED);
      expect(text).toMatch(/1 violation of rules that say Block was allowed/);
    }
  });

  test("is named by the gate that passes behind it", async () => {
    const { code, text } = await run(["gate", "--all", "--workload", "db"], { reports });
    expect(code).toBe(0);
    expect(text).toContain("workload db");
  });
});

describe("what is accepted", () => {
  test.each(LISTS.slice(0, 2).map((command) => [command]))("is counted where it is not shown: %j", async (command) => {
    const { text } = await run(command, { reports: [ACCEPTED] });
    expect(text).toMatch(/1 accepted violation is not shown/);
  });

  test("is passed over by the gate, which says so", async () => {
    const { code, text } = await run(["gate", "--all"], { reports: [ACCEPTED] });
    expect(code).toBe(0);
    expect(text).toContain("1 accepted");
  });

  test.each(READINESS.map((command) => [command]))("would be blocked all the same: %j", async (command) => {
    const { code } = await run(command, { reports: [ACCEPTED] });
    expect(code).toBe(1);
  });

  test.each([["html"], ["markdown"]])("does not make a rule enforced: %s", async (format) => {
    const block = report("files", [
      violation({ outcome: "Allowed", action: "Audit (Block)", accepted: { by: "known" } }),
    ]);
    const { text } = await run(["audit", "--format", format], { reports: [block] });
    expect(text).not.toMatch(ENFORCED);
  });
});
