// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { widthOf } from "../src/render/columns.ts";
import { plugin, report, violation } from "./session.ts";

const ids = (out: string) =>
  out
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/).at(-1));

const id = (n: number) => n.toString(16).padStart(16, "0");

describe("the table", () => {
  test("is what a namespace's reports say, worst first", async () => {
    const { code, out, err } = await plugin(["-n", "wordpress-mysql"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      [
        "SEVERITY   OUTCOME     WORKLOAD                         VIOLATION                                                  POLICY                                       COUNT   LAST SEEN   ID",
        "medium     Prevented   Deployment/wordpress             Process /bin/bash → /usr/bin/scp                           harden-wordpress-remote-file-copy                1   3y          02451877539d27d1",
        "medium     Prevented   Pod/wordpress-787f45786f-2q9wf   Process /bin/bash → /usr/bin/apt                           harden-wordpress-pkg-mngr-exec                   1   3y          41a589a66b87c1f3",
        "unknown    Prevented   Pod/wordpress-7c966b5d85-42jwx   File /bin/ls → /run/secrets/kubernetes.io/serviceaccount   DefaultPosture                                   1   3y          231f724509cceedb",
        "info       Prevented   Deployment/wordpress             File /bin/bash → /tmp/sh-thd-*                             ksp-block-exec-inside-tmp                        1   3y          2b7f59f440ed8cfd",
        "info       Prevented   Deployment/mysql                 File /bin/rmdir → /etc/ssl/certs                           harden-mysql-trusted-cert-mod                    1   3y          34f69eadff90f1b7",
        "info       Prevented   Pod/wordpress-787f45786f-2q9wf   File /bin/rm → /sbin/raw                                   harden-wordpress-file-integrity-monitoring       1   3y          5447b6755b84e32c",
        "",
      ].join("\n"),
    );
  });

  test("-A has every namespace and the hosts: 24 violations, the critical one first", async () => {
    const { out } = await plugin(["-A"]);
    expect(ids(out)).toHaveLength(24);
    expect(out.split("\n")[1]).toMatch(/^multiubuntu +critical +Prevented/);
    expect(out).toMatch(/^ +medium +Allowed +Node\/ubuntu/m);
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
    const { out } = await plugin(["-A", "--accepted"], { reports });
    expect(ids(out)).toEqual([6, 5, 4, 3, 1, 2].map(id));
  });

  test.each([60, 80, 100, 120, 200])("fits a screen of %i cells", async (columns) => {
    const { out } = await plugin(["-A"], { columns, isInteractive: true });
    const widest = Math.max(...out.split("\n").map(widthOf));
    // With the least of every column that may shrink, and without those that may go.
    expect(widest).toBeLessThanOrEqual(Math.max(columns, 80));
    expect(ids(out)).toHaveLength(24);
  });

  test("without a screen nothing is cut and nothing is coloured", async () => {
    const { out } = await plugin(["-A"]);
    expect(out).not.toContain("…");
    expect(out).not.toContain("\u001b");
    expect(out).toContain("domain=AF_UNIX protocol=0 type=SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC");
  });

  test("colours change no width", async () => {
    const bare = await plugin(["-A"], { columns: 150 });
    const painted = await plugin(["-A"], { columns: 150, hasColor: true });
    expect(painted.out).toContain("\u001b[");
    expect(painted.out.replace(/\u001b\[[0-9;]*m/g, "").replace(/ +$/gm, "")).toBe(bare.out);
  });

  test("a screen gets the worst hundred and is told of the rest", async () => {
    const many = report(
      "many",
      Array.from({ length: 300 }, (_, n) => violation({ id: id(n) })),
    );
    const screen = await plugin(["-A"], { reports: [many], isInteractive: true });
    expect(ids(screen.out)).toHaveLength(100);
    expect(screen.err).toBe("… and 200 more; --limit 0 shows all, --severity and --since fewer.\n");
    expect(
      ids((await plugin(["-A", "--limit", "0"], { reports: [many], isInteractive: true })).out),
    ).toHaveLength(300);
    expect(ids((await plugin(["-A"], { reports: [many] })).out)).toHaveLength(300);
  });

  test("marks lower bounds, and says what acceptances hide", async () => {
    const reports = [
      report("p", [violation({ id: id(1) }), violation({ id: id(2), accepted: { by: "known" } })], {
        coverage: { lowerBound: true },
      }),
    ];
    const { out, err } = await plugin(["-n", "shop"], { reports });
    expect(out).toMatch(/ 3\+ /);
    expect(ids(out)).toEqual([id(1)]);
    expect(err).toBe("1 accepted violation is not shown; --accepted shows them.\n");
  });

  test("nothing found is said, and is no failure", async () => {
    expect(await plugin(["-n", "empty"])).toEqual({
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
    for (const form of [[], ["-o", "wide"], ["-o", "json"], ["-o", "yaml"], ["-o", "name"]]) {
      const { out } = await plugin(["-n", "shop", ...form], { reports });
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });
});

describe("filters", () => {
  test.each([
    [["--policy", "harden-*"], 4],
    [["--policy", "DefaultPosture"], 2],
    [["--policy", "default-posture"], 2],
    [["--workload", "wordpress"], 2],
    [["--workload", "node/*"], 5],
    [["--severity", "high"], 2],
    [["--severity", "unknown"], 15],
    [["--outcome", "allowed"], 6],
    [["--outcome", "Prevented"], 18],
    [["--since", "200d"], 3],
    [["--since", "2026-01-01"], 4],
    [["--since", "200d", "--outcome", "allowed"], 0],
    [["--new"], 0],
    [["--new", "--since", "200d"], 3],
  ])("%j keeps %i of 24", async (flags, count) => {
    const { out, code } = await plugin(["-A", ...flags]);
    expect(code).toBe(0);
    expect(out === "" ? 0 : ids(out).length).toBe(count);
  });

  test("--new looks at when it was first seen", async () => {
    const reports = [report("p", [violation()])];
    expect((await plugin(["-n", "shop", "--since", "24h"], { reports })).out).not.toBe("");
    expect((await plugin(["-n", "shop", "--new"], { reports })).out).toBe("");
    expect((await plugin(["-n", "shop", "--new", "--since", "4d"], { reports })).out).not.toBe("");
  });

  test.each([
    [["--policy", "["], /--policy "\[" is no pattern/],
    [["--workload", ""], /--workload "" is no pattern/],
    [
      ["--severity", "bad"],
      /--severity "bad" is none: it must be one of critical, high, medium, low, unknown, info/,
    ],
    [["--outcome", "blocked"], /--outcome "blocked" is none: it must be allowed, prevented or unknown/],
    [["--since", "yesterday"], /--since "yesterday" is no time: give a duration/],
    [["-o", "xml"], /-o "xml" is no form: it must be wide, json, yaml, name/],
    [["--limit", "-1"], /--limit "-1" must be a whole number/],
    [["explian"], /there is no command "explian": the commands are list, explain, top,/],
    [["-n", "a"], /-n and -A can't go together/],
  ])("%j is refused with what would be right", async (flags, message) => {
    const { code, err, out } = await plugin(["-A", ...flags]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });

  test("a namespace that can't be one is refused before anything is asked", async () => {
    expect((await plugin(["-n", "../x"])).err).toBe('error: -n "../x" is no name of a namespace\n');
  });
});

describe("data", () => {
  test("-o json holds the rows in the table's order, each with its report", async () => {
    const { out } = await plugin(["-n", "default", "-o", "json"]);
    const { violations } = JSON.parse(out);
    expect(violations).toHaveLength(6);
    expect(violations[0]).toMatchObject({
      report: { kind: "PolicyViolationReport", namespace: "default", name: "ksp-vault-network" },
      severity: "high",
      lowerBound: false,
      id: "c4ddd95b255bcff4",
      occurrences: 1,
    });
  });

  test("-o name gives what kubectl takes", async () => {
    const { out } = await plugin(["-n", "my-ext-secret", "-o", "name"]);
    expect(out).toBe("policyviolationreport.reports.kubearmor.com/nginx-secret\n");
  });
});

describe("a directory that is no export", () => {
  test("is refused with what to do", async () => {
    expect((await plugin(["--from", "/nowhere/at/all"])).err).toBe(
      "error: /nowhere/at/all is empty or not there; name a directory that export or replay wrote\n",
    );
  });
});
