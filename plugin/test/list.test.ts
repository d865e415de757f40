// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { measureWidth } from "../src/render/columns.ts";
import { type PluginOptions, report, runPlugin, violation } from "./session.ts";

const getRows = (out: string) => out.trimEnd().split("\n").slice(1);

/** Ids in the order of the table. */
const ids = async (flags: readonly string[], options: PluginOptions = {}) => {
  const { out } = await runPlugin([...flags, "-o", "custom-columns=ID:.id", "--no-headers"], options);
  return out.split("\n").filter((line) => line !== "");
};

const id = (n: number) => n.toString(16).padStart(16, "0");

describe("the table", () => {
  test("is what a namespace's reports list, worst first", async () => {
    const reports = [
      report("p", [
        violation(),
        violation({
          id: id(2),
          outcome: "Allowed",
          workload: { kind: "Pod", name: "db-0" },
          operation: "File",
          resource: "/etc/passwd",
          occurrences: 1200,
        }),
      ]),
    ];
    expect(await runPlugin(["-n", "shop"], { reports })).toEqual({
      code: 0,
      out: [
        "SEVERITY  OUTCOME    COUNT  SEEN  WORKLOAD    POLICY  VIOLATION",
        "medium    Allowed     1200  60s   pod/db-0    p       File /etc/passwd by /bin/sh",
        "medium    Prevented      3  60s   deploy/web  p       Process /usr/bin/apt by /bin/sh",
        "",
      ].join("\n"),
      err: "",
    });
  });

  test("-A has every namespace and the hosts: 25 violations, the critical one first", async () => {
    const { out } = await runPlugin(["-A"]);
    expect(getRows(out)).toHaveLength(25);
    expect(getRows(out)[0]).toMatch(/^multiubuntu +critical +Prevented/);
    expect(out).toMatch(/^\(host\) +medium +Allowed .*node\/ubuntu/m);
  });

  test("orders by acceptance, severity, outcome, recency", async () => {
    const late = "2026-11-23T09:59:59.000000Z";
    const reports = [
      report("low", [violation({ id: id(1), outcome: "Allowed", lastSeen: late })], { severity: "low" }),
      report(
        "high",
        [
          violation({ id: id(2), accepted: { by: "known" } }),
          violation({ id: id(3) }),
          violation({ id: id(4), lastSeen: late }),
          violation({ id: id(5), outcome: "Unknown" }),
          violation({ id: id(6), outcome: "Allowed" }),
        ],
        { severity: "high" },
      ),
    ];
    expect(await ids(["-A", "--accepted"], { reports })).toEqual([6, 5, 4, 3, 1, 2].map(id));
  });

  test("gives violations a quarter of a screen of 100 cells", async () => {
    const { out } = await runPlugin(["-A", "--limit", "1"], { columns: 100, isInteractive: true });
    expect(getRows(out)[0]).toMatch(/ {2}resolve google\.com by \S+…$/);
  });

  test.each([80, 100, 120, 160, 200])("fits a screen of %i cells, and cuts texts at their end", async (columns) => {
    const whole = await runPlugin(["-A"]);
    const { out } = await runPlugin(["-A"], { columns, isInteractive: true });
    expect(Math.max(...out.split("\n").map(measureWidth))).toBeLessThanOrEqual(columns);
    expect(getRows(out)).toHaveLength(25);
    const [header = ""] = out.split("\n");
    expect(header).toMatch(/^NAMESPACE +SEVERITY +OUTCOME +COUNT +SEEN +WORKLOAD +(POLICY +)?VIOLATION$/);
    for (const line of getRows(out)) {
      expect(line).toMatch(/^\S/);
      for (const cell of line.split(/ {2,}/)) {
        if (cell.includes("…")) expect(whole.out).toContain(cell.slice(0, -1));
        expect(cell).toMatch(/^[^…]*…?$/);
      }
    }
  });

  test("without a screen nothing is cut and nothing is colored", async () => {
    const { out } = await runPlugin(["-A"]);
    expect(out).not.toContain("…");
    expect(out).not.toContain("\u001b");
    expect(out).toContain("family=AF_UNIX type=SOCK_STREAM");
  });

  test("colors change no width", async () => {
    const bare = await runPlugin(["-A"], { columns: 150 });
    const painted = await runPlugin(["-A"], { columns: 150, hasColor: true });
    expect(painted.out).toContain("\u001b[");
    expect(painted.out.replace(/\u001b\[[0-9;]*m/g, "").replace(/ +$/gm, "")).toBe(bare.out);
  });

  test("a screen gets the worst hundred, and every form the limit that is asked for", async () => {
    const many = report(
      "many",
      Array.from({ length: 300 }, (_, n) => violation({ id: id(n) })),
    );
    const screen = await runPlugin(["-A"], { reports: [many], isInteractive: true });
    expect(getRows(screen.out)).toHaveLength(100);
    expect(screen.err).toContain("200 more are listed; --limit 0 shows all, --severity and --since fewer.\n");
    const all = await runPlugin(["-A", "--limit", "0"], { reports: [many], isInteractive: true });
    expect(getRows(all.out)).toHaveLength(300);
    expect(getRows((await runPlugin(["-A"], { reports: [many] })).out)).toHaveLength(300);
    for (const [form, count] of [
      ["wide", 8],
      ["csv", 8],
      ['jsonpath={range .violations[*]}{.id}{"\\n"}{end}', 7],
      ["custom-columns=ID:.id", 8],
    ] as const) {
      const { out } = await runPlugin(["-A", "--limit", "7", "-o", form], { reports: [many] });
      expect(out.trimEnd().split("\n")).toHaveLength(count);
    }
    for (const form of ["json", "yaml"]) {
      const { out } = await runPlugin(["-A", "--limit", "7", "-o", form], { reports: [many] });
      const { violations, totals, shown } = parse(out);
      expect([violations.length, totals.violations, shown]).toEqual([7, 300, 7]);
    }
  });

  test("marks lower bounds, and says what acceptances hide", async () => {
    const reports = [
      report("p", [violation({ id: id(1) }), violation({ id: id(2), accepted: { by: "known" } })], {
        coverage: { lowerBound: true },
      }),
    ];
    const { out, err } = await runPlugin(["-n", "shop"], { reports });
    expect(out).toMatch(/ 3\+ /);
    expect(await ids(["-n", "shop"], { reports })).toEqual([id(1)]);
    expect(err).toBe("1 accepted violation is not shown; --accepted shows it.\n");
    const accepted = [report("p", [violation({ id: id(2), accepted: { by: "known" } })])];
    expect((await runPlugin(["-n", "shop"], { reports: accepted })).err).toBe(
      "No open violations found in namespace shop.\n1 accepted violation is not shown; --accepted shows it.\n",
    );
  });

  test("nothing found is said, and is not a failure", async () => {
    expect(await runPlugin(["-n", "empty"])).toEqual({
      code: 0,
      out: "",
      err: "No violations found in namespace empty.\n",
    });
  });

  test("hostile text can't reach the terminal", async () => {
    const bad = "\u001b[2J\u202e\u0007<script>\n\r\u009b31m";
    const reports = [
      report(bad, [violation({ source: bad, resource: bad, workload: { kind: bad, name: bad }, id: bad })], {
        policy: { name: bad },
      }),
    ];
    for (const form of [[], ["-o", "wide"], ["-o", "json"], ["-o", "yaml"], ["-o", "name"], ["-o", "csv"]]) {
      const { out } = await runPlugin(["-n", "shop", ...form], { reports });
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });
});

describe("filters", () => {
  test.each([
    [["--policy", "harden-*"], 4],
    [["--policy", "DefaultPosture"], 3],
    [["--policy", "default-posture"], 3],
    [["--workload", "wordpress"], 2],
    [["--workload", "node/*"], 6],
    [["--workload", "deploy/wordpress"], 2],
    [["--severity", "high"], 2],
    [["--severity", "unknown"], 16],
    [["--outcome", "allowed"], 6],
    [["--outcome", "Prevented"], 19],
    [["--since", "200d"], 3],
    [["--since", "2026-01-01"], 4],
    [["--since", "200d", "--outcome", "allowed"], 0],
    [["--new"], 0],
    [["--new", "--since", "200d"], 3],
  ])("%j keeps %i of 25", async (flags, count) => {
    expect(await ids(["-A", ...flags])).toHaveLength(count);
  });

  test("--new looks at when it was first seen", async () => {
    const reports = [report("p", [violation()])];
    expect((await runPlugin(["-n", "shop", "--since", "24h"], { reports })).out).not.toBe("");
    expect((await runPlugin(["-n", "shop", "--new"], { reports })).out).toBe("");
    expect((await runPlugin(["-n", "shop", "--new", "--since", "4d"], { reports })).out).not.toBe("");
  });

  test.each([
    [["--policy", "["], /invalid value "\[" for --policy/],
    [["--workload", ""], /invalid value "" for --workload \(it is empty\): give a name/],
    [
      ["--severity", "bad"],
      /invalid value "bad" for --severity: expected one of critical, high, medium, low, unknown, info\./,
    ],
    [["--outcome", "blocked"], /invalid value "blocked" for --outcome: expected allowed, prevented, unknown/],
    [["--since", "yesterday"], /invalid value "yesterday" for --since: expected a duration/],
    [["--since", "0s"], /invalid value "0s" for --since: expected a duration/],
    [["--since", "2026-11-23T10:01:00Z"], /invalid value "\S+" for --since: it is in the future/],
    [["--since", "2027-11-23"], /invalid value "2027-11-23" for --since: it is in the future/],
    [["-o", "xml"], /invalid value "xml" for -o: expected one of wide, json, yaml, name, csv, jsonpath/],
    [["-o", "jsonpath"], /invalid value "jsonpath" for -o/],
    [["-o", "jsonpath={range .violations[*]}{.id}"], /\{range\} without \{end\}/],
    [["-o", "custom-columns=ID"], /invalid custom column "ID": expected HEADER:\.path/],
    [["--sort-by", "size"], /invalid value "size" for --sort-by: expected one of severity, count,/],
    [["-l", "a b"], /invalid value "a b" for -l: give labels of pods/],
    [["-l", "a in b"], /invalid value "a in b" for -l: give labels of pods/],
    [["-l", "a in (b"], /invalid value "a in \(b" for -l: give labels of pods/],
    [["--limit", "-1"], /invalid value "-1" for --limit: expected a whole number/],
    [["explian"], /unknown command "explian": expected one of list, explain, timeline,/],
    [["top"], /unknown command "top"/],
    [["completion", "bash"], /unknown command "completion"/],
    [["-n", "a"], /-n and -A can't go together/],
  ])("%j is refused with what would be right", async (flags, message) => {
    const { code, err, out } = await runPlugin(["-A", ...flags]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });

  test("a namespace that can't be one is refused before anything is asked", async () => {
    expect((await runPlugin(["-n", "../x"])).err).toBe(
      'error: invalid value "../x" for -n: expected the name of a namespace.\n',
    );
  });
});

describe("data", () => {
  test("-o json holds the rows in the table's order, each with its report", async () => {
    const { out } = await runPlugin(["-n", "default", "-o", "json"]);
    const { violations } = JSON.parse(out);
    expect(violations).toHaveLength(6);
    expect(violations[0]).toMatchObject({
      report: { kind: "PolicyViolationReport", namespace: "default", name: "ksp-vault-network" },
      severity: "high",
      lowerBound: false,
      occurrences: 1,
    });
  });

  test("-o name gives what kubectl takes", async () => {
    const { out } = await runPlugin(["-n", "my-ext-secret", "-o", "name"]);
    expect(out).toBe("policyviolationreport.reports.kubearmor.com/nginx-secret\n");
  });
});

describe("more filters", () => {
  const at = "2026-11-23T09:59:00.000000Z";
  const reports = [
    report(
      "p",
      [
        violation({
          id: id(1),
          tags: ["NIST_SI-4", "PCI", "SOC"],
          latest: { time: at, node: "n1", labels: "app=web,tier=front" },
          pods: [
            { name: "web-1", node: "n1", occurrences: 1, lastSeen: at },
            { name: "web-2", node: "n3", occurrences: 2, lastSeen: at },
          ],
        }),
        violation({ id: id(2), container: "db", severity: 9, latest: { time: at, labels: "app=db" } }),
        violation({ id: id(3), workload: { kind: "Node", name: "n2" } }),
      ],
      { severity: "critical", policy: { severity: 9 } },
    ),
  ];

  test.each([
    ["--pod web-*", [1]],
    ["--node n1", [1]],
    ["--node n2", [3]],
    ["--node n9", []],
    ["--pod n9", []],
    ["--tag cis*", []],
    ["--container db", [2]],
    ["--tag nist*", [1]],
    ["-l app=web", [1]],
    ["-l app!=web,app", [2]],
    ["-l !app", [3]],
    ["-l app in (web, cache),tier", [1]],
    ["-l app notin (db)", [1, 3]],
    ["--outcome allowed,prevented", [1, 2, 3]],
    ["--sort-by workload", [1, 2, 3]],
    ["--sort-by {.id}", [1, 2, 3]],
  ])("%s finds %j", async (flag, expected) => {
    const flags = /^(\S+) (.*)$/.exec(flag)?.slice(1) ?? [];
    expect(await ids(["-n", "shop", ...flags], { reports })).toEqual(expected.map(id));
  });

  test("-l matches a violation with labels that were cut", async () => {
    const labels = `app=web,${"x".repeat(500)}…`;
    const long = [report("p", [violation({ latest: { time: at, labels } })])];
    expect(await ids(["-n", "shop", "-l", "tier=front"], { reports: long })).toHaveLength(1);
  });

  test("the severity is the violation's own, not the policy's", async () => {
    const mixed = [
      report(
        "p",
        [violation({ id: id(1), severity: 1 }), violation({ id: id(2) }), violation({ id: id(3), severity: 0 })],
        { severity: "critical", policy: { severity: 9 } },
      ),
    ];
    expect(await ids(["-n", "shop", "--severity", "high"], { reports: mixed })).toEqual([id(2)]);
    const { out } = await runPlugin(["-n", "shop"], { reports: mixed });
    expect(getRows(out).map((line) => line.split(" ")[0])).toEqual(["critical", "unknown", "info"]);
  });

  test("CSV quotes what a spreadsheet would run as a formula", async () => {
    const evil = [report("p", [violation({ source: "=cmd|' /C calc'!A0", resource: 'a,"b"' })])];
    const { out } = await runPlugin(["-n", "shop", "-o", "csv"], { reports: evil });
    expect(out).toContain("'=cmd|' /C calc'!A0");
    expect(out).toContain('"a,""b"""');
  });
});

describe("a list that is cut", () => {
  const cut = report("many", [violation({ outcome: "Allowed", occurrences: 300 })], {
    summary: { prevented: 7, occurrences: 307, violations: 8 },
    omitted: { violations: 7, occurrences: 7 },
  });

  test("is never said to hold none", async () => {
    for (const form of [[], ["-o", "wide"], ["-o", "csv"], ["-o", "name"]]) {
      const { out, err } = await runPlugin(["-n", "shop", "--outcome", "prevented", ...form], { reports: [cut] });
      expect(out).toBe("");
      expect(err).toBe(
        "No listed violation matches in namespace shop.\n" +
          "The list of 1 report is cut (shop/many): 7 violations with 7 occurrences are only in the totals, and may match.\n" +
          "In all 7 prevented occurrences match.\n",
      );
    }
  });

  test("every form of data says so, with the totals of the summary", async () => {
    for (const form of ["json", "yaml"]) {
      const { out, err } = await runPlugin(["-n", "shop", "-o", form], { reports: [cut] });
      expect(parse(out)).toMatchObject({
        complete: false,
        omitted: { reports: 1, violations: 7, occurrences: 7 },
        totals: { violations: 8, allowed: 300, prevented: 7, unknown: 0 },
      });
      expect(err).toContain("The list of 1 report is cut (shop/many)");
    }
  });

  test("is whole for a filter that excludes what it leaves out", async () => {
    const { err } = await runPlugin(["-n", "shop", "--outcome", "allowed"], { reports: [cut] });
    expect(err).toBe("");
    expect((await runPlugin(["-n", "shop", "--since", "10s"], { reports: [cut] })).err).toBe(
      "No violations found in namespace shop.\n",
    );
  });
});

test("a directory that is not an export is refused with what to do", async () => {
  expect((await runPlugin(["--from", "/nowhere/at/all"])).err).toBe(
    "error: /nowhere/at/all is empty or does not exist; name a directory that export or replay wrote.\n",
  );
});
