// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { directory, plugin, report, violation } from "./session.ts";

const LATE = "2026-11-23T09:59:59.000000Z";

describe("the gate", () => {
  test("is shut by what nobody accepted, and shows it", async () => {
    const { code, out } = await plugin(["gate", "-A", "--severity", "high"]);
    expect(code).toBe(1);
    expect(out.split("\n")[0]).toBe("SHUT: 2 violations that nobody accepted");
    expect(out).toMatch(/^multiubuntu +critical /m);
  });

  test("is open when nothing is left", async () => {
    expect(await plugin(["gate", "-n", "shop"], { reports: [] })).toEqual({
      code: 0,
      out: "OPEN: nothing in 0 reports shuts the gate\n",
      err: "",
    });
    expect((await plugin(["gate", "-n", "my-ext-secret", "--severity", "low"])).code).toBe(0);
    // kubectl takes flags before the command.
    expect((await plugin(["-n", "my-ext-secret", "gate", "--severity", "low"])).code).toBe(0);
    expect((await plugin(["-A", "gate", "--severity", "high"])).code).toBe(1);
    expect((await plugin(["gate", "-n=my-ext-secret", "--severity", "high"])).code).toBe(0);
    expect((await plugin(["gate", "-n=multiubuntu", "--severity", "high"])).code).toBe(1);
  });

  test("passes over what is accepted, and says how many", async () => {
    const one = report("p", [violation({ accepted: { by: "known" } })]);
    expect(await plugin(["gate", "-n", "shop"], { reports: [one] })).toEqual({
      code: 0,
      out: "OPEN: nothing in 1 report shuts the gate (passed over: 1 accepted)\n",
      err: "",
    });
  });

  test("stops a rollout and lets it pass once the violation is accepted", async () => {
    const rollout = (accepted: { accepted?: { by: string } }) =>
      plugin(["gate", "-n", "shop", "--since", "1h"], { reports: [report("p", [violation(accepted)])] });
    expect((await rollout({})).code).toBe(1);
    expect((await rollout({ accepted: { by: "apt-in-entrypoint" } })).code).toBe(0);
  });

  test("passes over what a directory has, be it a summary, and is shut by what is new", async () => {
    const old = report("p", [violation()]);
    const dir = join(directory(), "state");
    for (const form of [[], ["--summary"]]) {
      await plugin(["export", "-A", "--out", dir, ...form], { reports: [old] });
      expect((await plugin(["gate", "-A", "--baseline", dir], { reports: [old] })).out).toBe(
        `OPEN: nothing in 1 report shuts the gate (passed over: 1 known from ${dir})\n`,
      );
      const fresh = report("p", [violation(), violation({ id: "00000000000000bb" })]);
      const { code, out } = await plugin(["gate", "-A", "--baseline", dir], { reports: [fresh] });
      expect(code).toBe(1);
      expect(out).toContain("00000000000000bb");
      expect(out).not.toContain("00000000000000aa");
    }
  });

  test("the same deed under another report is new", async () => {
    const dir = join(directory(), "state");
    await plugin(["export", "-A", "--out", dir], { reports: [report("p", [violation()])] });
    expect(
      (await plugin(["gate", "-A", "--baseline", dir], { reports: [report("q", [violation()])] })).code,
    ).toBe(1);
  });
});

describe("what could not be found out never opens the gate", () => {
  const gap = (to: string) => ({ lowerBound: true, gaps: 1, recent: [{ kind: "StreamDown", from: to, to }] });

  test.each([
    ["a report that is whole", {}, [], 0],
    ["a gap", gap(LATE), [], 3],
    ["a gap in the time looked at", gap(LATE), ["--since", "1h"], 3],
    ["a gap before it", gap("2026-11-20T10:00:00.000000Z"), ["--since", "1h"], 0],
    [
      "a gap that lasts",
      { lowerBound: true, gaps: 1, recent: [{ kind: "StreamDown", from: LATE }] },
      ["--since", "1s"],
      3,
    ],
    ["a gap of which no time is known", { lowerBound: true, gaps: 1 }, ["--since", "1h"], 3],
  ])("%s", async (_name, coverage, flags, code) => {
    const reports = [report("p", [violation({ accepted: { by: "known" } })], { coverage })];
    const outcome = await plugin(["gate", "-n", "shop", "--require-coverage", ...flags], { reports });
    expect(outcome.code).toBe(code);
    if (code === 3)
      expect(outcome.err).toContain("alerts may have been missed in the time looked at: 1 report (shop/p)");
  });

  test("a list that was cut, and a cluster without any report", async () => {
    const cut = { ...report("p", []), omitted: { violations: 1, occurrences: 2 } };
    expect((await plugin(["gate", "-A", "--require-coverage"], { reports: [cut] })).code).toBe(3);
    const none = await plugin(["gate", "-A", "--require-coverage"], { reports: [] });
    expect(none.code).toBe(3);
    expect(none.err).toContain("there is no report at all, so nothing shows that anybody is looking");
    const noted = await plugin(["gate", "-A"], { reports: [cut] });
    expect(noted.code).toBe(0);
    expect(noted.err).toBe(
      "note: 1 report does not hold everything; --require-coverage shuts the gate for that\n",
    );
  });

  test.each([
    [["--baseline", "/nowhere"], "--baseline /nowhere is not there: write it with"],
    [["-o", "html"], '-o "html" is no form: it must be text, json, junit, sarif'],
    [["--severity", "awful"], '--severity "awful" is none'],
  ])("%j", async (flags, message) => {
    const { code, err } = await plugin(["gate", "-A", ...flags]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test("a baseline that holds other things", async () => {
    const dir = directory();
    mkdirSync(join(dir, "src"));
    writeFileSync(join(dir, "src/a.c"), "");
    const { code, err } = await plugin(["gate", "-A", "--baseline", dir]);
    expect({ code, err }).toEqual({
      code: 2,
      err: `error: --baseline ${dir} holds no reports (but src/a.c)\n`,
    });
  });
});

describe("forms", () => {
  const evil = `a"b<c>&'\u0007\u001b]]>\uffff`;
  const reports = [
    report("bad", [violation({ source: evil, resource: evil })], {
      policy: { name: evil, message: evil },
      severity: "high",
    }),
    report("good", [violation({ accepted: { by: "ok" } })], { severity: "info" }),
  ];

  test("JUnit has a case per report, and no text of an alert breaks it", async () => {
    const { code, out } = await plugin(["gate", "-n", "shop", "-o", "junit"], { reports });
    expect(code).toBe(1);
    const lines = out.split("\n");
    expect(lines[1]).toBe(
      '<testsuites name="kubectl violations gate" tests="2" failures="1" errors="0" skipped="0">',
    );
    expect(lines).toContain('    <testcase classname="shop" name="good"/>');
    expect(out).toContain('<failure message="1 not accepted" type="high">');
    // Nothing but our own tags: every < of a text is escaped.
    expect(new Set(out.match(/<[^ >]+/g))).toEqual(
      new Set([
        "<?xml",
        "<testsuites",
        "<testsuite",
        "<testcase",
        "<failure",
        "</failure",
        "</testcase",
        "</testsuite",
        "</testsuites",
      ]),
    );
    expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\uffff]|]]>/);
  });

  test("SARIF has a rule per policy, a result per violation, and says what was suppressed", async () => {
    const { out } = await plugin(["gate", "-n", "shop", "-o", "sarif"], { reports });
    const sarif = JSON.parse(out);
    expect(sarif.version).toBe("2.1.0");
    const [{ results, tool }] = sarif.runs;
    expect(tool.driver.rules.map(({ id }: { id: string }) => id)).toContain("good");
    expect(results.map(({ level }: { level: string }) => level)).toEqual(["error", "note"]);
    expect(results[1].suppressions).toEqual([{ kind: "external", justification: "accepted: ok" }]);
    expect(results[0].partialFingerprints).toEqual({
      "reports.kubearmor.com/violation": "shop/bad/00000000000000aa",
    });
    expect(results[0].locations[0].physicalLocation.artifactLocation.uri).toBe(
      "shop/policyviolationreports/bad.yaml",
    );
  });

  test("JSON says whether it is open, and what was passed over", async () => {
    const { out } = await plugin(["gate", "-n", "shop", "-o", "json"], { reports });
    const { open, violations, passedOver } = JSON.parse(out);
    expect(open).toBe(false);
    expect(violations).toHaveLength(1);
    expect(passedOver.accepted).toHaveLength(1);
  });
});
