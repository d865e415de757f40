// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { createAudited, report, runPlugin, violation } from "./session.ts";

const WHOLE = { continuousSince: "2026-11-01T00:00:00.000000Z" };
const OLD = { firstSeen: "2026-11-02T10:00:00.000000Z", lastSeen: "2026-11-03T10:00:00.000000Z" };

async function runReadiness(violations: Violation[], coverage: object = WHOLE, ...flags: string[]) {
  return await runPlugin(["readiness", "p", "-n", "shop", ...flags], {
    reports: [report("p", violations, { coverage })],
  });
}

describe("a policy", () => {
  test("is not ready while blocking would stop something, and what would break is shown", async () => {
    const { code, out } = await runReadiness([
      createAudited(),
      createAudited({ id: "00000000000000ab", workload: { kind: "Pod", name: "x" } }),
    ]);
    expect(code).toBe(1);
    expect(out).toBe(`p: not ready
In the last 7 days blocking would have stopped 2 violations on 2 workloads.

These would be blocked:
COUNT  LAST SEEN  WORKLOAD    ACCEPTED BY  VIOLATION
    3  60s        deploy/web  -            Process /usr/bin/apt by /bin/sh
    3  60s        pod/x       -            Process /usr/bin/apt by /bin/sh
`);
  });

  test("is not ready for what is accepted: blocking would stop that, too", async () => {
    const { code, out } = await runReadiness([createAudited({ accepted: { by: "backup" } })]);
    expect(code).toBe(1);
    expect(out).toContain("1 of them is accepted, and would be blocked all the same: allow them in the policy first.");
    expect(out).toContain("backup");
  });

  test("is ready when nothing occurred in a time without a gap", async () => {
    const { code, out } = await runReadiness([createAudited(OLD)]);
    expect(code).toBe(0);
    expect(out).toBe(
      "p: ready\nIn the last 7 days nothing occurred that blocking would have stopped. The last one was 20d ago.\n",
    );
  });

  test.each([
    [
      "the stream was not whole",
      { continuousSince: "2026-11-20T00:00:00.000000Z" },
      "The alert stream has been read without a gap only since 2026-11-20 00:00:00 UTC",
    ],
    ["it is not known whether it was", {}, "It is unknown since when"],
    [
      "another report knows of a gap",
      {
        ...WHOLE,
        recent: [{ kind: "Throttled", from: "2026-11-22T00:00:00.000000Z", to: "2026-11-22T00:01:00.000000Z" }],
      },
      "only since 2026-11-22 00:01:00 UTC",
    ],
  ])("is unknown when %s", async (_name, coverage, why) => {
    const { code, out } = await runReadiness([createAudited(OLD)], coverage);
    expect(code).toBe(3);
    expect(out).toContain("p: unknown\n");
    expect(out).toContain(why);
  });

  test("is unknown while a gap lasts, however long ago it began", async () => {
    const recent = [{ kind: "NodeDown", from: "2026-11-02T00:00:00.000000Z" }];
    const { code, out } = await runReadiness([createAudited(OLD)], { ...WHOLE, gaps: 1, lowerBound: true, recent });
    expect(code).toBe(3);
    expect(out).toContain("unknown\nA gap has not ended. From 2026-11-02 00:00:00 UTC nodes");
  });

  test.each([
    ["was changed in the time looked at", { changedAt: "2026-11-22T00:00:00.000000Z" }, "Found", 3],
    ["was changed before", { changedAt: "2026-11-02T00:00:00.000000Z" }, "Found", 0],
    ["was deleted", undefined, "NotFound", 3],
  ])("that %s", async (_name, object, provenance, code) => {
    const objects = object === undefined ? [] : [{ kind: "KubeArmorPolicy", generation: 2, uid: "u", ...object }];
    for (const one of [createAudited(OLD), violation(OLD)]) {
      const reports = [report("p", [one], { coverage: WHOLE, policy: { provenance, objects } })];
      expect(await runPlugin(["readiness", "p", "-n", "shop"], { reports })).toMatchObject({ code });
    }
  });

  test("is unknown where violations left the list for their age in the time looked at", async () => {
    const expired = { violations: 1, occurrences: 4 };
    const summary = { allowed: 7, occurrences: 7, firstSeen: "2026-08-01T00:00:00.000000Z", lastSeen: OLD.lastSeen };
    const reports = [
      report("p", [createAudited(OLD)], {
        coverage: { continuousSince: "2026-01-01T00:00:00.000000Z" },
        summary,
        expired,
      }),
    ];
    const { code, out } = await runPlugin(["readiness", "p", "-n", "shop", "--window", "19d"], { reports });
    expect(code).toBe(3);
    expect(out).toContain("left the list for its age; only the totals have it. They may have been allowed.");
  });

  describe("with a list that is cut", () => {
    const cut = (summary: object, violations: Violation[] = [createAudited(OLD)]) =>
      report("p", violations, { coverage: WHOLE, summary, omitted: { violations: 2, occurrences: 9 } });
    const readiness = (one: Report) => runPlugin(["readiness", "p", "-n", "shop"], { reports: [one] });
    const daily = (start: string) => ({ hourly: [], daily: [{ start, allowed: 9 }] });

    test("is unknown while it may leave out what was allowed", async () => {
      const { code, out } = await readiness(cut({ allowed: 12 }));
      expect(code).toBe(3);
      expect(out).toContain(
        "unknown\nThe list of the report is cut: 2 violations can't be looked at, and may have been allowed.",
      );
    });

    test("is ready where all that it leaves out was prevented, or its history is quiet", async () => {
      expect((await readiness(cut({ prevented: 9 }))).code).toBe(0);
      const history = daily("2026-11-10T00:00:00Z");
      expect((await readiness(cut({ allowed: 12, lastSeen: OLD.lastSeen, history }))).code).toBe(0);
    });

    test("is not ready where its history shows what no list shows", async () => {
      const { code, out } = await readiness(
        cut({ allowed: 12, lastSeen: "2026-11-22T10:00:00.000000Z", history: daily("2026-11-22T00:00:00Z") }),
      );
      expect(code).toBe(1);
      expect(out).toContain("blocking would have stopped violations that the report has no room to list.");
    });

    test("is unknown where its history does not separate what was before the time looked at", async () => {
      const early = { firstSeen: OLD.firstSeen, lastSeen: "2026-11-16T05:00:00.000000Z" };
      const history = {
        hourly: [{ start: "2026-11-20T10:00:00Z", prevented: 1 }],
        daily: [
          { start: "2026-11-20T00:00:00Z", prevented: 1 },
          { start: "2026-11-16T00:00:00Z", allowed: 12 },
        ],
      };
      const summary = { allowed: 12, lastSeen: "2026-11-20T10:30:00.000000Z", history };
      const { code, out } = await readiness(cut(summary, [createAudited(early)]));
      expect(code).toBe(3);
      expect(out).toContain("can't be looked at, and may have been allowed.");
    });

    test("counts at least", async () => {
      const { out } = await readiness(cut({ allowed: 12 }, [createAudited()]));
      expect(out).toContain("blocking would have stopped at least 1 violation on at least 1 workload.");
    });

    test("blocks already where every total says so", async () => {
      const { out } = await readiness(cut({ prevented: 12 }, [violation()]));
      expect(out).toMatch(/^p: blocks already/);
    });
  });

  test("that stops everything blocks already", async () => {
    const { code, out } = await runReadiness([violation()]);
    expect({ code, out: out.split("\n")[0] }).toEqual({ code: 0, out: "p: blocks already" });
  });

  test("that says Block and is not enforced is marked", async () => {
    expect((await runReadiness([createAudited({ action: "Audit (Block)" })])).out).toContain(
      "1 of them should have been blocked already (Audit (Block)): their nodes or pods do not enforce.",
    );
  });

  test("is looked at for as long as is asked", async () => {
    expect((await runReadiness([createAudited(OLD)], WHOLE, "--window", "21d")).out).toContain(
      "p: not ready\nIn the last 21 days",
    );
    expect((await runReadiness([createAudited(OLD)], WHOLE, "--window", "1.5h")).out).toContain(
      "In the last 90m nothing",
    );
  });

  test("without a report is not called ready", async () => {
    const { code, err } = await runPlugin(["readiness", "typo", "-A"]);
    expect(code).toBe(3);
    expect(err).toContain('there is no report of a policy "typo" in any namespace: nothing violated it');
  });
});

test("a limit holds in each form, and says what it leaves out", async () => {
  const reports = ["a", "b", "c"].map((name) => report(name, [createAudited()], { coverage: WHOLE }));
  for (const form of [[], ["-o", "json"]]) {
    const { out, err } = await runPlugin(["readiness", "-A", "--limit", "1", ...form], { reports });
    expect(out).not.toMatch(/\bb\b/);
    expect(err).toBe("2 more reports; --limit 0 shows all.\n");
  }
});

test("all policies are an overview, what is not ready first", async () => {
  const reports = [
    report("b", [createAudited(OLD)], { coverage: WHOLE }),
    report("a", [violation()], { coverage: WHOLE }),
    report("c", [createAudited()], { coverage: WHOLE }),
  ];
  const { code, out } = await runPlugin(["readiness", "-A"], { reports });
  expect(code).toBe(1);
  expect(out.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "NAMESPACE VERDICT WOULD STOP LAST POLICY",
    "shop not ready 1 60s c",
    "shop ready 0 - b",
    "shop blocks already 0 - a",
    "",
  ]);
  const { policies } = JSON.parse((await runPlugin(["readiness", "-A", "-o", "json"], { reports })).out);
  expect(policies[0]).toMatchObject({ policy: "c", verdict: "not ready", wouldStop: [{ id: "00000000000000aa" }] });
});

test.each([
  [["--window", "0d"], 'invalid value "0d" for --window: expected a time above 0, such as 7d'],
  [["--window", "soon"], 'invalid value "soon" for --window: expected a duration'],
  [["-o", "table"], 'invalid value "table" for -o: expected json or yaml.'],
])("%j", async (flags, message) => {
  const { code, err } = await runPlugin(["readiness", "-A", ...flags]);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
