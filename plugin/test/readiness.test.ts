// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import type { Violation } from "../../src/api/v1alpha1.ts";
import { plugin, report, violation } from "./session.ts";

const WHOLE = { continuousSince: "2026-11-01T00:00:00.000000Z" };
const audited = (mods: Partial<Violation> & Record<string, unknown> = {}) =>
  violation({ action: "Audit", outcome: "Allowed", ...mods });
const OLD = { firstSeen: "2026-11-02T10:00:00.000000Z", lastSeen: "2026-11-03T10:00:00.000000Z" };

async function assess(violations: Violation[], coverage: object = WHOLE, ...flags: string[]) {
  return await plugin(["readiness", "p", "-n", "shop", ...flags], {
    reports: [report("p", violations, { coverage })],
  });
}

describe("a policy", () => {
  test("is not ready while blocking would stop something, and what would break is shown", async () => {
    const { code, out } = await assess([
      audited(),
      audited({ id: "00000000000000ab", workload: { kind: "Pod", name: "x" } }),
    ]);
    expect(code).toBe(1);
    expect(out).toBe(`p: not ready
In the last 7 days blocking would have stopped 2 deeds on 2 workloads.

These would break:
WORKLOAD         VIOLATION                        COUNT   LAST SEEN   ACCEPTED BY
Deployment/web   Process /bin/sh → /usr/bin/apt       3   60s
Pod/x            Process /bin/sh → /usr/bin/apt       3   60s
`);
  });

  test("is not ready for what is accepted: blocking would stop that, too", async () => {
    const { code, out } = await assess([audited({ accepted: { by: "backup" } })]);
    expect(code).toBe(1);
    expect(out).toContain(
      "1 of them is accepted, and would be stopped all the same: allow them in the policy first.",
    );
    expect(out).toContain("backup");
  });

  test("is ready when nothing happened in a time that was watched whole", async () => {
    const { code, out } = await assess([audited(OLD)]);
    expect(code).toBe(0);
    expect(out).toBe(
      "p: ready\nIn the last 7 days nothing happened that blocking would have stopped. The last one was 20d ago.\n",
    );
  });

  test.each([
    [
      "the stream was not whole",
      { continuousSince: "2026-11-20T00:00:00.000000Z" },
      "Only since 2026-11-20 00:00:00 UTC",
    ],
    ["it is not known whether it was", {}, "It is not known since when"],
    [
      "another report knows of a gap",
      {
        ...WHOLE,
        recent: [
          { kind: "Throttled", from: "2026-11-22T00:00:00.000000Z", to: "2026-11-22T00:01:00.000000Z" },
        ],
      },
      "Only since 2026-11-22 00:01:00 UTC",
    ],
  ])("was not seen enough when %s", async (_name, coverage, why) => {
    const { code, out } = await assess([audited(OLD)], coverage);
    expect(code).toBe(1);
    expect(out).toContain("p: not enough seen\n");
    expect(out).toContain(why);
  });

  test("was not seen enough when its list was cut", async () => {
    const cut = {
      ...report("p", [audited(OLD)], { coverage: WHOLE }),
      omitted: { violations: 2, occurrences: 9 },
    };
    const { out } = await plugin(["readiness", "p", "-n", "shop"], { reports: [cut] });
    expect(out).toContain("not enough seen\nThe report is cut: 2 violations can't be looked at.");
  });

  test("that stops everything blocks already", async () => {
    const { code, out } = await assess([violation()]);
    expect({ code, out: out.split("\n")[0] }).toEqual({ code: 0, out: "p: blocks already" });
  });

  test("that says Block and is not enforced is told so", async () => {
    expect((await assess([audited({ action: "Audit (Block)" })])).out).toContain(
      "1 of them should have been blocked already (Audit (Block)): their nodes or pods do not enforce.",
    );
  });

  test("is looked at for as long as is asked", async () => {
    expect((await assess([audited(OLD)], WHOLE, "--window", "21d")).out).toContain(
      "p: not ready\nIn the last 21 days",
    );
  });

  test("without a report is not called ready", async () => {
    const { code, err } = await plugin(["readiness", "typo", "-A"]);
    expect(code).toBe(3);
    expect(err).toContain('there is no report of a policy "typo" in any namespace: nothing violated it');
  });
});

test("all policies are an overview, what is not ready first", async () => {
  const reports = [
    report("b", [audited(OLD)], { coverage: WHOLE }),
    report("a", [violation()], { coverage: WHOLE }),
    report("c", [audited()], { coverage: WHOLE }),
  ];
  const { code, out } = await plugin(["readiness", "-A"], { reports });
  expect(code).toBe(1);
  expect(out.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "NAMESPACE POLICY VERDICT WOULD STOP LAST",
    "shop c not ready 1 60s",
    "shop b ready 0",
    "shop a blocks already 0",
    "",
  ]);
  const { policies } = JSON.parse((await plugin(["readiness", "-A", "-o", "json"], { reports })).out);
  expect(policies[0]).toMatchObject({
    policy: "c",
    verdict: "not ready",
    wouldStop: [{ id: "00000000000000aa" }],
  });
});

test.each([
  [["--window", "soon"], '--window "soon" is no duration'],
  [["-o", "table"], '-o "table" is no form: it must be json or yaml'],
])("%j", async (flags, message) => {
  const { code, err } = await plugin(["readiness", "-A", ...flags]);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
