// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Answers of explain and readiness for a policy that changed, or of which the state is not known.

import { describe, expect, test } from "vitest";
import type { Violation } from "../../src/api/v1alpha1.ts";
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

describe("explain", () => {
  const coverage = { continuousSince: "2026-11-01T00:00:00.000000Z" };
  const labels = { time: "2026-11-23T09:59:00.000000Z", labels: "app=web" };
  const explained = async (one: Violation, mods: Parameters<typeof report>[2] = {}) =>
    (await runEverywhere(["explain", "shop/files"].slice(0, 2), { reports: [report("files", [one], mods)] })).text;

  test("says what held when the report was written, and that alerts do not arrive now", async () => {
    const reports = [report("files", [violation()], { coverage })];
    const { text, err } = await runEverywhere(["explain", "shop/files"], { reports, heartbeat: CUT_OFF });
    expect(err).toContain("note: alerts may be missing since 2026-11-23 09:00:00 UTC");
    expect(text).toContain("When the report was written, the alert stream had been read without a known gap since");
    expect(text).not.toMatch(/No gap is known|has been read/);
  });

  test("says that a gap had not ended", async () => {
    const recent = [{ kind: "NodeDown", from: "2026-11-22T00:00:00.000000Z" }];
    const text = await explained(violation(), { coverage: { gaps: 1, lowerBound: true, recent } });
    expect(text).toContain("nodes of the cluster were not read; when the report was written, that had not ended.");
  });

  test("does not advise to block what the policy says it blocks", async () => {
    const text = await explained(violation({ action: "Block", outcome: "Allowed", latest: labels }));
    expect(text).toContain("It should have been blocked, but was only reported");
    expect(text).toContain("files says Block, but was not enforced.");
    expect(text).not.toContain("set the action to Block");
  });

  test("says that the policy was changed since", async () => {
    const object = (changedAt: string) => ({ kind: "KubeArmorPolicy", uid: "u", generation: 2, changedAt });
    const of = (changedAt: string) =>
      explained(createAudited({ latest: labels }), { policy: { provenance: "Found", objects: [object(changedAt)] } });
    expect(await of("2026-11-23T09:59:30.000000Z")).toContain(
      "The policy files was changed after this was last seen: check what it says now.",
    );
    expect(await of("2026-11-23T09:58:30.000000Z")).not.toContain("was changed after");
  });

  test("names the namespace that it looked at where it may not look at all", async () => {
    const source: ReportSource = {
      ...createMemoryReports([]),
      async *list({ namespace }, onLeftOut) {
        const { PluginError } = await import("../src/reports/problem.ts");
        if (namespace === undefined) throw new PluginError(3, "you may not list them.");
        yield* createMemoryReports([]).list({ namespace }, onLeftOut);
      },
    };
    const { code, err } = await runPlugin(["explain", "ffffffffffffffff"], { reports: source });
    expect(code).toBe(3);
    expect(err).toContain("no report lists a violation ffffffffffffffff in namespace default");
  });
});

describe("readiness", () => {
  const WHOLE = { continuousSince: "2026-11-01T00:00:00.000000Z" };
  const OLD = { firstSeen: "2026-11-02T10:00:00.000000Z", lastSeen: "2026-11-03T10:00:00.000000Z" };
  const assess = (violations: Violation[], mods: Parameters<typeof report>[2], options: PluginOptions = {}) =>
    runEverywhere(["readiness", "files"], {
      reports: [report("files", violations, { coverage: WHOLE, ...mods })],
      ...options,
    });

  test("is unknown where the operator cannot look the policy up, or its object records no change", async () => {
    const unread = { policy: { provenance: "Unknown" } };
    expect(await assess([createAudited(OLD)], unread)).toMatchObject({
      code: 3,
      text: expect.stringContaining("unknown if the policy was changed or deleted"),
    });
    expect(await assess([violation(OLD)], unread)).toMatchObject({
      code: 0,
      text: expect.stringContaining("unknown if the policy was changed or deleted"),
    });
    const objects = [{ kind: "KubeArmorPolicy", uid: "u", generation: 2 }];
    expect(await assess([createAudited(OLD)], { policy: { provenance: "Found", objects } })).toMatchObject({ code: 3 });
  });

  test("takes nothing that a policy prevented before its last change for what it does now", async () => {
    const changedAt = "2026-11-10T00:00:00.000000Z";
    const objects = [{ kind: "KubeArmorPolicy", uid: "u", generation: 2, changedAt }];
    const policy = { provenance: "Found", objects, changedSinceLastSeen: true };
    expect((await assess([violation(OLD)], { policy })).text).not.toContain("blocks already");
  });

  test("claims no blocking during a gap, and names alerts that are missing", async () => {
    const gap = { kind: "NodeDown", from: "2026-11-02T00:00:00.000000Z" };
    const less = { ...WHOLE, gaps: 1, lowerBound: true };
    expect(await assess([violation(OLD)], { coverage: { ...less, recent: [gap] } })).toMatchObject({ code: 3 });
    const ended = { ...gap, to: "2026-11-02T01:00:00.000000Z" };
    expect((await assess([violation(OLD)], { coverage: { ...less, recent: [ended] } })).text).toContain(
      "blocks already. Alerts are known to be missing, which may have been allowed.",
    );
  });

  test("names violations that expired as such", async () => {
    const { text } = await assess([createAudited()], {
      expired: { violations: 1, occurrences: 4 },
      summary: { allowed: 7, occurrences: 7 },
    });
    expect(text).not.toContain("is cut");
    expect(text).toContain("1 violation with 4 occurrences left the list for its age");
  });

  test("of files holds for the time when they were written", async () => {
    const dir = writeDirectory(
      report("a", [violation()], { coverage: WHOLE }),
      report("b", [createAudited(OLD)], { coverage: WHOLE }),
    );
    const of = async (policy: string) =>
      (await runPlugin(["readiness", policy, "--from", dir])).out.replace(/\s+/g, " ");
    expect(await of("a")).toContain("it blocked when the files were written.");
    expect(await of("b")).toContain("unknown These are files: they do not show what occurred since.");
  });

  test("without a report names alerts that were not counted, and an operator that is not running", async () => {
    const { code, err } = await runEverywhere(["readiness", "typo"], { reports: [], heartbeat: SILENT });
    expect(code).toBe(3);
    expect(err).toContain("note: the operator has not renewed");
    expect(err).toContain("its alerts were not counted");
  });
});
