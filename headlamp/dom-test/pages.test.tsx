// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The pages as Headlamp shows them: what they say, where their links lead, and what they never claim.

import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import { createReport, createViolation, readSampleReports } from "../test/reports.ts";
import { openPage } from "./host.tsx";

const VIOLATIONS = "/kubearmor-violations";
const REPORTS = `${VIOLATIONS}/reports`;
const ALIVE = { leaseAgeMs: 1000 };
const EVIL = "<img src=x>\u202e";

/** The cells of each row of the table, without its header. */
async function readRows(): Promise<string[][]> {
  const rows = within(await screen.findByRole("table"))
    .getAllByRole("row")
    .slice(1);
  return rows.map((row) =>
    within(row)
      .getAllByRole("cell")
      .map((cell) => cell.textContent ?? ""),
  );
}

function notes(): string[] {
  return screen.queryAllByRole("alert").map((note) => note.textContent ?? "");
}

function getHref(name: string): string | null {
  return screen.getByRole("link", { name }).getAttribute("href");
}

describe("the list of violations", () => {
  test("has a row per violation, the worst first, with links to its violation, workload and report", async () => {
    const grave = createViolation({ id: "00000000000000aa", resource: "/bin/grave" });
    const report = createReport([createViolation({ severity: 3 }), grave], {
      policy: { name: "no-shells", kind: "KubeArmorPolicy", severity: 9 },
      summary: { severity: "critical" },
    });
    await openPage(VIOLATIONS, { reports: [report], ...ALIVE });
    const rows = await readRows();
    expect(rows.map(([severity, outcome, count, title]) => [severity, outcome, count, title])).toEqual([
      ["critical", "Allowed", "3", "Process /bin/grave"],
      ["low", "Allowed", "3", "Process /bin/sh"],
    ]);
    expect(getHref("Process /bin/grave")).toBe(`/c/main${REPORTS}/shop/no-shells/00000000000000aa`);
    const [workload] = screen.getAllByRole("link", { name: "Deployment/web" });
    expect(workload?.getAttribute("href")).toBe("/c/main/deployments/shop/web");
    expect(notes()).toEqual([]);
  });

  test("of the sample alerts has every listed violation and the totals of the summaries", async () => {
    const reports = readSampleReports();
    await openPage(VIOLATIONS, { reports, ...ALIVE });
    const rows = await readRows();
    // A page of Headlamp's table holds 15 rows.
    expect(rows).toHaveLength(15);
    const allowed = reports.reduce((sum, { summary }) => sum + summary.allowed, 0);
    expect(document.body.textContent).toContain(`in ${reports.length} reports`);
    expect(document.body.textContent).toContain(`${allowed} allowed`);
  });

  test("hides accepted violations until they are asked for", async () => {
    const accepted = createViolation({ id: "00000000000000bb", resource: "/bin/ok", accepted: { by: "known" } });
    await openPage(VIOLATIONS, { reports: [createReport([createViolation(), accepted])], ...ALIVE });
    expect(await readRows()).toHaveLength(1);
    await userEvent.click(screen.getByLabelText("Show 1 accepted violation"));
    const rows = await readRows();
    expect(rows).toHaveLength(2);
    expect(rows.flat()).toContain("known");
  });

  test("marks lower bounds, cut lists and an operator that may not run", async () => {
    const report = createReport([createViolation()], {
      coverage: { gaps: 1, throttleNotices: 0, lowerBound: true },
      omitted: { violations: 12, occurrences: 40 },
    });
    await openPage(VIOLATIONS, { reports: [report], leaseAgeMs: 3_600_000 });
    expect((await readRows())[0]).toContain("≥ 3");
    // The Lease is read after the reports.
    await waitFor(() => expect(notes()).toHaveLength(3));
    expect(notes()).toEqual([
      expect.stringContaining("operator"),
      expect.stringContaining("12 violations with 40 occurrences are only in the totals"),
      expect.stringContaining("lower bounds"),
    ]);
  });

  test("never takes a failed request for an absence of violations", async () => {
    const path = "/apis/reports.kubearmor.com/v1alpha1";
    const failures = { [`${path}/policyviolationreports`]: 403, [`${path}/clusterpolicyviolationreports`]: 403 };
    await openPage(VIOLATIONS, { reports: [createReport([createViolation()])], failures, ...ALIVE });
    expect(await screen.findByText("Unknown: no report could be read.")).toBeDefined();
    expect(notes().filter((note) => note.includes("may not list"))).toHaveLength(2);
    expect(document.body.textContent).not.toContain("0 violations");
  });

  test("shows text of an alert as text", async () => {
    await openPage(VIOLATIONS, { reports: [createReport([createViolation({ resource: EVIL })])], ...ALIVE });
    expect((await readRows()).flat().join()).toContain("<img src=x>");
    expect(document.querySelector("img[src=x]")).toBeNull();
    expect(document.body.textContent).not.toContain("\u202e");
  });
});

test("the list of reports has the columns of kubectl, namespaces and the cluster's reports", async () => {
  const ofNode = createReport([createViolation({ workload: { kind: "Node", name: "n1" } })], {
    kind: "ClusterPolicyViolationReport",
    metadata: { name: "host-policy" },
    policy: { name: "host-policy", kind: "KubeArmorHostPolicy", severity: 9 },
    summary: { severity: "critical" },
  });
  await openPage(REPORTS, { reports: [createReport([createViolation()]), ofNode], ...ALIVE });
  const rows = await readRows();
  expect(rows.map((cells) => cells.slice(0, 7))).toEqual([
    ["host-policy", "(cluster)", "KubeArmorHostPolicy", "critical", "3", "0", "0"],
    ["no-shells", "shop", "KubeArmorPolicy", "low", "3", "0", "0"],
  ]);
  expect(getHref("host-policy")).toBe(`/c/main${REPORTS}/-/host-policy`);
});

describe("the page of a report", () => {
  test("has its facts, its history in words, its data completeness and its violations", async () => {
    const report = createReport([createViolation()]);
    report.summary.history = {
      hourly: [{ start: "2026-11-23T10:00:00Z", allowed: 3 }],
      daily: [{ start: "2026-11-23T00:00:00Z", allowed: 3 }],
    };
    await openPage(`${REPORTS}/shop/no-shells`, { reports: [report], ...ALIVE });
    expect(await screen.findByText("Report shop/no-shells")).toBeDefined();
    expect(screen.getByText("3: 3 allowed, 0 unknown, 0 prevented")).toBeDefined();
    expect(screen.getByRole("img").getAttribute("aria-label")).toMatch(/^Occurrences by hour from .*, at most 3/);
    expect(screen.getByText("Data completeness")).toBeDefined();
    expect(getHref("Process /bin/sh")).toBe(`/c/main${REPORTS}/shop/no-shells/0123456789abcdef`);
  });

  test("says that a report is gone", async () => {
    await openPage(`${REPORTS}/shop/gone`, { reports: [], ...ALIVE });
    await screen.findByRole("alert");
    expect(notes()).toEqual(["There is no report shop/gone. It may have been deleted after its retention."]);
  });
});

describe("the page of a violation", () => {
  test("has its sentence, evidence, pods and the command that explains it", async () => {
    const violation = createViolation({
      source: "/bin/bash",
      latest: { time: "2026-11-23T10:00:00.000000Z", command: "sh -c id", enforcer: "BPFLSM" },
    });
    const path = `${REPORTS}/shop/no-shells/${violation.id}`;
    await openPage(path, { reports: [createReport([violation])], ...ALIVE });
    expect(await screen.findByText(`kubectl violations explain ${violation.id}`)).toBeDefined();
    expect(screen.getByText("sh -c id")).toBeDefined();
    expect(getHref("Pod/web-1")).toBe("/c/main/pods/shop/web-1");
    expect(getHref("shop/no-shells")).toBe(`/c/main${REPORTS}/shop/no-shells`);
  });

  test("says that the report does not list it any more", async () => {
    const reports = [createReport([createViolation()])];
    await openPage(`${REPORTS}/shop/no-shells/ffffffffffffffff`, { reports, ...ALIVE });
    await screen.findAllByRole("alert");
    expect(notes()[0]).toContain("does not list the violation ffffffffffffffff");
  });
});
