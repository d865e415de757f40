// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// "None" and "passed" where not all was looked at: violations that expired, alerts that are missing, files, reports changed
// by hand, an operator that stops during a watch.

import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import type { ReportSource } from "../src/reports/sources/report-source.ts";
import {
  CUT_OFF,
  createAudited,
  createMemoryReports,
  type PluginOptions,
  report,
  runEverywhere,
  runPlugin,
  SILENT,
  violation,
  writeDirectory,
} from "./session.ts";

const NONE = /\bNo (?:open )?violations found|There is none|None matches/;

const LEFT = /2 violations with 5 occurrences left the list for their age/i;
const UNRECEIVED = /alerts are known to be missing in 1 report \(shop\/files\)/i;

const EXPIRED = report("files", [violation()], {
  expired: { violations: 2, occurrences: 5 },
  summary: { occurrences: 8, allowed: 5, violations: 3 },
});
const MISSING = report("files", [violation()], { coverage: { gaps: 0, throttleNotices: 2, lowerBound: true } });
/** One listed violation is accepted; two more are not listed. */
const ACCEPTED = report("files", [createAudited({ accepted: { by: "known" } })], {
  summary: {
    allowed: 5,
    occurrences: 5,
    violations: 3,
    open: { occurrences: 2, prevented: 0, allowed: 2, unknown: 0, violations: 2, severity: "medium" },
    accepted: { violations: 1, occurrences: 3 },
  },
  omitted: { violations: 2, occurrences: 2 },
});

describe("nothing found", () => {
  const commands = [["list"], ["timeline"], ["audit"], ["audit", "--format", "markdown"]];
  const flags = ["--outcome", "allowed", "--workload", "*"];

  test.each(
    commands.flatMap((command) => [
      { command, name: "violations left the list for their age", reports: [EXPIRED], why: LEFT },
      { command, name: "alerts are known to be missing", reports: [MISSING], why: UNRECEIVED },
    ]),
  )("is not none where $name: $command", async ({ command, reports, why }) => {
    const { text } = await runEverywhere([...command, ...flags], { reports });
    expect(text).not.toMatch(NONE);
    expect(text).toContain("No listed violation matches");
    expect(text).toMatch(why);
  });

  test.each([[SILENT], [CUT_OFF], [{ state: "unknown", why: "no Lease" } as const]])(
    "is not a claim of the audit with an operator that may not count: %j",
    async (heartbeat) => {
      for (const format of ["html", "markdown"]) {
        const { text } = await runEverywhere(["audit", "--format", format], { reports: [], heartbeat });
        expect(text).not.toMatch(NONE);
        expect(text).toContain("No listed violation matches.");
        expect(text).not.toContain("no violation");
      }
    },
  );

  test("is none where all was looked at", async () => {
    expect((await runEverywhere(["list"], { reports: [] })).err).toBe("No violations found in any namespace.\n");
    expect((await runEverywhere(["timeline"], { reports: [] })).err).toBe("No violations found in any namespace.\n");
    expect((await runEverywhere(["audit"], { reports: [] })).text).toContain("There is none.");
    const filtered = await runEverywhere(["audit", "--workload", "db"], { reports: [report("files", [violation()])] });
    expect(filtered.text).toContain("None matches.");
  });

  test.each([[["list"]], [["timeline"]]])("behind acceptances is nothing open: %j", async (command) => {
    const reports = [report("files", [violation({ accepted: { by: "known" } })])];
    const { err } = await runEverywhere([...command, "--workload", "*"], { reports });
    expect(err).toMatch(/^No open violations found in any namespace\.\n1 accepted violation is not shown/);
  });

  test.each([[["list", "--since", "1h"]], [["timeline", "--window", "1h"]], [["list", "--policy", "x"]]])(
    "in files is nothing until they were written: %j",
    async (command) => {
      const old = violation({ lastSeen: "2026-11-20T10:00:00.000000Z" });
      const { err } = await runPlugin([...command, "--from", writeDirectory(report("files", [old]))]);
      expect(err).toMatch(/note: these are files: the state when \S+ was written\./);
      // They may be those of one namespace.
      expect(err).not.toContain("any namespace");
    },
  );
});

test("a time in which nothing was read is not shown as quiet", async () => {
  const at = { firstSeen: "2026-11-23T09:30:00.000000Z", lastSeen: "2026-11-23T09:59:00.000000Z" };
  const of = async (coverage: object, ...flags: string[]) =>
    (
      await runEverywhere(["timeline", "--window", "5h", ...flags], {
        reports: [report("files", [violation(at)], { coverage })],
      })
    ).text;
  const since = { continuousSince: "2026-11-23T09:00:00.000000Z" };
  expect(await of(since)).toContain("Before 2026-11-23 09:00:00 UTC alerts may be missing");
  expect(await of({})).toContain("It is unknown when alerts were read");
  const recent = [{ kind: "StreamDown", from: "2026-11-23T07:00:00.000000Z", to: "2026-11-23T08:00:00.000000Z" }];
  const long = { continuousSince: "2026-11-01T00:00:00.000000Z" };
  expect(await of({ ...long, gaps: 1, lowerBound: true, recent })).toContain("Before 2026-11-23 08:00:00 UTC");
  const lasting = [{ kind: "StreamDown", from: "2026-11-23T09:59:00.000000Z" }];
  const missing = await of({ ...long, gaps: 1, lowerBound: true, recent: lasting });
  expect(missing.replace(/\s+/g, " ")).toContain(
    "Alerts are missing now. From 2026-11-23 09:59:00 UTC the alert stream was down; when the report was written",
  );
  expect(missing).not.toContain("only since then");
  expect(await of(long)).not.toMatch(/alerts may be missing|It is unknown when/);
});

describe("data for programs", () => {
  const read = async (options: PluginOptions, ...flags: string[]) =>
    JSON.parse((await runEverywhere(["list", "-o", "json", ...flags], options)).out);

  test.each<[string, PluginOptions, RegExp]>([
    ["an operator that is not running", { reports: [], heartbeat: SILENT }, /is not running/],
    ["alerts that do not arrive", { reports: [], heartbeat: CUT_OFF }, /alerts may be missing since/],
    ["violations that expired", { reports: [EXPIRED] }, /left the list for their age/],
    ["alerts that are missing", { reports: [MISSING] }, /alerts are known to be missing/],
  ])("are not complete with %s", async (_, options, why) => {
    const data = await read(options, "--outcome", "allowed");
    expect(data).toMatchObject({ complete: false, totals: { isAtLeast: true } });
    expect(data.incomplete.join()).toMatch(why);
  });

  test("are complete where nothing is hidden", async () => {
    const data = await read({ reports: [report("files", [violation()])] });
    expect(data.complete).toBe(true);
    expect(data).not.toHaveProperty("incomplete");
  });

  test("count what is open where every accepted violation is beyond the list", async () => {
    const open = { occurrences: 3, prevented: 3, allowed: 0, unknown: 0, violations: 1, severity: "medium" };
    const summary = {
      prevented: 10,
      occurrences: 10,
      violations: 3,
      open,
      accepted: { violations: 2, occurrences: 7 },
    };
    const reports = [report("files", [violation()], { summary, omitted: { violations: 2, occurrences: 7 } })];
    expect((await read({ reports })).totals).toMatchObject({ violations: 1, prevented: 3 });
    expect((await read({ reports }, "--accepted")).totals).toMatchObject({ violations: 3, prevented: 10 });
  });
});

test("accepted violations beyond the list are at least those that are listed", async () => {
  const summary = {
    prevented: 10,
    occurrences: 10,
    violations: 3,
    open: { occurrences: 0, prevented: 0, allowed: 0, unknown: 0, violations: 0, severity: "accepted" },
    accepted: { violations: 3, occurrences: 10 },
  };
  const accepted = violation({ accepted: { by: "known" } });
  const reports = [report("files", [accepted], { summary, omitted: { violations: 2, occurrences: 7 } })];
  expect((await runEverywhere(["list"], { reports })).err).toContain("At least 1 accepted violation is not shown");
  // One of those that are not listed may match.
  for (const command of ["list", "timeline"]) {
    const { err } = await runEverywhere([command, "--workload", "other"], { reports });
    expect(err).toMatch(/^No open violations found in any namespace\./);
  }
});

describe("a watch", () => {
  /** Another state of the operator, or other reports, at each look. */
  const moving = (looks: readonly (PluginOptions & { reports: readonly Report[] })[], clock: FakeClock) => {
    let look = 0;
    const at = () => looks[Math.min(look, looks.length - 1)] ?? { reports: [] };
    const source: ReportSource = {
      ...createMemoryReports([]),
      async *list(scope, onLeftOut) {
        const { reports } = at();
        yield* createMemoryReports(reports).list(scope, onLeftOut);
        look += 1;
        setImmediate(() => void clock.advance(10_000));
      },
      heartbeat: async () => at().heartbeat ?? { state: "alive", holder: "pod" },
    };
    return source;
  };
  const watch = async (looks: readonly (PluginOptions & { reports: readonly Report[] })[]) => {
    const clock = new FakeClock(Date.UTC(2026, 10, 23, 10));
    const stop = new AbortController();
    const end = { reports: [report("files", [violation({ resource: "end", occurrences: 9 })])] };
    const { err } = await runPlugin(["-A", "-w"], {
      reports: moving([...looks, end], clock),
      clock,
      signal: stop.signal,
      onOut: (text) => {
        if (text.includes("end")) stop.abort();
      },
    });
    return err;
  };
  const reports = [report("files", [violation()])];

  test("says once when the operator stops", async () => {
    const silent = { reports, heartbeat: SILENT };
    const err = await watch([{ reports }, { reports }, silent, silent]);
    expect(err.match(/note: the operator has not renewed/g)).toHaveLength(1);
  });

  test("says at its beginning that the operator is unknown", async () => {
    const unknown = { reports, heartbeat: { state: "unknown", why: "no Lease" } as const };
    expect(await watch([unknown, unknown])).toBe("note: it is unknown if the operator is running: no Lease.\n");
  });

  test("says when a list is cut from then on", async () => {
    const cut = report("files", [violation()], {
      summary: { prevented: 5, occurrences: 5, violations: 3 },
      omitted: { violations: 2, occurrences: 2 },
    });
    const err = await watch([{ reports }, { reports: [cut] }, { reports: [cut] }]);
    expect(err.match(/note: the list of 1 report is cut \(shop\/files\)/g)).toHaveLength(1);
  });
});

describe("the gate", () => {
  const FORMS = ["text", "json", "junit", "sarif"];

  test("names in each form what left the list, where that may be of the time looked at", async () => {
    for (const form of FORMS) {
      const { code, out } = await runEverywhere(["gate", "--outcome", "allowed", "--since", "60d", "-o", form], {
        reports: [EXPIRED],
      });
      expect({ form, code }).toEqual({ form, code: 0 });
      expect(out).toMatch(/2 violations with 5 occurrences left the list for their age/i);
    }
  });

  test("names in each form that it read files", async () => {
    const dir = writeDirectory(report("files", [violation()]));
    for (const form of FORMS) {
      const { code, out } = await runPlugin(["gate", "--from", dir, "-o", form]);
      expect(code).toBe(0);
      expect(out).toMatch(/these are files: the state when \S+ was written/i);
    }
  });

  test("counts the reports of the policy that was asked for alone", async () => {
    const { out } = await runEverywhere(["gate", "--policy", "typo"], { reports: [report("files", [violation()])] });
    expect(out).toContain("Looked at 0 reports in any namespace");
    const json = await runPlugin(["gate", "--policy", "typo", "-o", "json"], {
      reports: [report("files", [violation()])],
    });
    expect(JSON.parse(json.out).lookedAt.reports).toBe(0);
  });

  test("is unknown with a baseline that is in part of another cluster", async () => {
    const of = (cluster: string, namespace: string): Report => {
      const one = report("p", [createAudited()], { namespace });
      return { ...one, metadata: { ...one.metadata, labels: { "reports.kubearmor.com/cluster": cluster } } };
    };
    const dir = writeDirectory(of("staging", "shop"), of("production", "web"));
    const reports = [of("production", "shop"), of("production", "web")];
    const { code, out } = await runEverywhere(["gate", "--baseline", dir], { reports });
    expect(code).toBe(3);
    expect(out.replace(/\s+/g, " ")).toContain(
      "the baseline may be of another cluster: it has shop/p of the cluster staging, and the reports are of the cluster production;",
    );
  });

  test("says of violations that are not listed that no acceptance is known to cover them", async () => {
    for (const form of FORMS) {
      const { code, out } = await runEverywhere(["gate", "--all", "-o", form], { reports: [ACCEPTED] });
      expect(code).toBe(1);
      if (form !== "json") expect(out).toMatch(/are not known to be accepted/);
      expect(out).not.toMatch(/\d open violation/);
    }
  });
});

describe("a report that was changed by hand", () => {
  const sound = report("files", [violation()]);
  test.each<[string, Partial<Report>]>([
    ["lacks violations that its totals have", { violations: [] }],
    ["lists fewer occurrences than its totals", { violations: [violation({ occurrences: 2 })] }],
    ["leaves out less than is missing", { violations: [], omitted: { violations: 1, occurrences: 1 } }],
    ["has the name of another policy's report", { policy: { ...sound.policy, name: "other" } }],
    ["lists another outcome than its totals", { violations: [violation({ outcome: "Allowed" })] }],
    [
      "lists as accepted what its totals have as open",
      {
        summary: {
          ...sound.summary,
          open: { occurrences: 3, prevented: 3, allowed: 0, unknown: 0, violations: 1, severity: "medium" },
        },
        violations: [violation({ accepted: { by: "nobody" } })],
      },
    ],
    ["was seen last before its violations", { summary: { ...sound.summary, lastSeen: sound.summary.firstSeen } }],
    ["was seen first after its violations", { summary: { ...sound.summary, firstSeen: sound.summary.lastSeen } }],
  ])("is read by no command where it %s", async (_, change) => {
    const dir = writeDirectory({ ...sound, ...change });
    for (const command of [[], ["timeline"], ["readiness"], ["gate"], ["audit"], ["explain", "shop/files"]]) {
      const { code, err, out } = await runPlugin([...command, "--from", dir]);
      expect(code).toBe(3);
      expect(err + out).toContain("is not a report");
    }
  });
});

test("the audit claims no enforcement where reports could not be read", async () => {
  const source: ReportSource = {
    ...createMemoryReports([]),
    async *list(_, onLeftOut) {
      onLeftOut("the report is not of the expected form");
      yield report("files", [violation()], { coverage: { continuousSince: "2026-11-01T00:00:00.000000Z" } });
    },
  };
  const { text } = await runEverywhere(["audit"], { reports: source });
  expect(text).toContain("is unknown: reports could not be read.");
});

test("the audit marks accepted violations as a lower bound where a list is cut", async () => {
  expect((await runEverywhere(["audit"], { reports: [ACCEPTED] })).out).toMatch(/≥ 1<\/strong>accepted violation/);
});
