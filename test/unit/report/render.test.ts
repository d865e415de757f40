// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Alert } from "../../../src/api/alert.ts";
import type { SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, renderOptions } from "../../support/gen.ts";
import { add, addAll, createAggregator, report } from "../ingest/fold-alerts.ts";
import { findFaults } from "./report-check.ts";

/** A file of its own for each name. */
function createFileAlert(name: string, ...mods: Partial<Alert>[]): Alert {
  return alert({ Operation: "File", Source: "/bin/cat", ProcessName: "/bin/cat", Resource: `/etc/${name}` }, ...mods);
}

const ALLOWED = { Result: "Passed", Action: "Audit" };

describe("a report", () => {
  it("shows the policy without alerts that came after its counts were taken", () => {
    const aggregator = addAll(createAggregator(), [alert({ Tags: "NIST", Message: "before" })]);
    const [ledger] = [...aggregator.ledgers.values()];
    if (!ledger) throw new Error("an alert begins a report");
    ledger.write.take();
    const taken = renderReport(ledger, renderOptions());
    add(aggregator, alert({ Tags: "CIS", Message: "after", UpdatedTime: formatTimeAt(1000) }));
    expect(renderReport(ledger, renderOptions())).toEqual(taken);
    expect(taken.policy).toMatchObject({ tags: ["NIST"], message: "before" });
  });
});

describe("policy facts", () => {
  it("are the highest severity of the violations and the newest of the rest", () => {
    const { policy } = report([
      createFileAlert("a", { Severity: "8", UpdatedTime: formatTimeAt(1) }),
      createFileAlert("b", { Severity: "3", Message: "newer", Tags: "B", UpdatedTime: formatTimeAt(20) }),
      createFileAlert("c", { Severity: "", Message: "older", Tags: "A", UpdatedTime: formatTimeAt(10) }),
      createFileAlert("d", { Severity: "", Message: "", Tags: "", Type: "Odd", UpdatedTime: formatTimeAt(30) }),
    ]);
    expect(policy).toEqual({
      name: "no-package-managers",
      kind: "KubeArmorPolicy",
      severity: 8,
      tags: ["B"],
      message: "newer",
    });
  });

  it("fall to what the newest alert of each violation carries, in any order", () => {
    const alerts = [
      createFileAlert("a", { Severity: "8", UpdatedTime: formatTimeAt(1) }),
      createFileAlert("a", { Severity: "3", UpdatedTime: formatTimeAt(3) }),
      createFileAlert("b", { Severity: "2", UpdatedTime: formatTimeAt(2) }),
    ];
    for (const order of [alerts, alerts.toReversed()]) {
      const { policy, summary, violations } = report(order);
      expect([policy.severity, summary.severity, summary.open?.severity]).toEqual([3, "low", "low"]);
      expect(violations.map(({ resource, severity }) => [resource, severity])).toEqual([
        ["/etc/a", undefined],
        ["/etc/b", 2],
      ]);
    }
  });

  it("of a violation are written where they differ from the policy's", () => {
    const { policy, violations } = report([
      createFileAlert("keys", { Severity: "10", Message: "keys", Tags: "PCI", UpdatedTime: formatTimeAt(1) }),
      createFileAlert("list", { Severity: "1", Message: "list", Tags: "chatter", UpdatedTime: formatTimeAt(2) }),
      createFileAlert("none", { Severity: "", Message: "", Tags: "", UpdatedTime: formatTimeAt(3) }),
    ]);
    expect(policy).toMatchObject({ severity: 10, message: "list", tags: ["chatter"] });
    expect(violations.map(({ severity, message, tags }) => ({ severity, message, tags }))).toEqual([
      { severity: 0, message: "", tags: [] },
      { severity: 1, message: undefined, tags: undefined },
      { severity: undefined, message: "keys", tags: ["PCI"] },
    ]);
  });

  it.each<[string, SeverityLevel]>([
    ["", "unknown"],
    ["1", "info"],
    ["2", "info"],
    ["3", "low"],
    ["4", "low"],
    ["5", "medium"],
    ["6", "medium"],
    ["7", "high"],
    ["8", "high"],
    ["9", "critical"],
    ["10", "critical"],
  ])("severity %j is %s", (Severity, level) => {
    expect(report([alert({ Severity })]).summary.severity).toBe(level);
  });

  it("follow other thresholds, 11 meaning never", () => {
    const severity = { low: 1, medium: 2, high: 11, critical: 11 };
    const levels = ["1", "2", "10"].map(
      (Severity) => report([alert({ Severity })], { ...renderOptions(), severity }).summary.severity,
    );
    expect(levels).toEqual(["low", "medium", "medium"]);
    const { summary } = report([alert({})], { ...renderOptions(), severity });
    expect(summary.severityThresholds).toEqual(severity);
    expect(report([alert({})]).summary).not.toHaveProperty("severityThresholds");
  });
});

describe("the list", () => {
  it("has the most recent first, ties by id", () => {
    const { violations } = report([
      createFileAlert("a", { UpdatedTime: formatTimeAt(1) }),
      createFileAlert("b", { UpdatedTime: formatTimeAt(3) }),
      ...["c", "d", "e", "f"].map((name) => createFileAlert(name, { UpdatedTime: formatTimeAt(2) })),
    ]);
    const resources = violations.map(({ resource }) => resource);
    expect(resources[0]).toBe("/etc/b");
    expect(resources[5]).toBe("/etc/a");
    const tied = violations.slice(1, 5).map(({ id }) => id);
    expect(tied).toEqual([...tied].sort());
  });
});

it("maxPodsPerViolation keeps the most recent pods, ties by name, and no count is lost", () => {
  const pods = ["d", "b", "c", "a"].map((PodName) => createFileAlert("x", { PodName, UpdatedTime: formatTimeAt(1) }));
  const cut = report(
    [...pods, createFileAlert("x", { PodName: "z", UpdatedTime: formatTimeAt(2) })],
    renderOptions({ maxPodsPerViolation: 3 }),
  );
  expect(cut.violations[0]?.pods?.map(({ name }) => name)).toEqual(["z", "a", "b"]);
  expect(cut.violations[0]?.occurrences).toBe(5);
  expect(cut.summary.pods).toBe(5);
  expect(cut.omitted).toBeUndefined();
});

describe("maxViolations", () => {
  const many = [
    createFileAlert("prevented-new", { UpdatedTime: formatTimeAt(9) }),
    createFileAlert("prevented-old", { UpdatedTime: formatTimeAt(8) }),
    createFileAlert("allowed-old", { ...ALLOWED, UpdatedTime: formatTimeAt(1) }),
    createFileAlert("allowed-older", { ...ALLOWED, UpdatedTime: formatTimeAt(0) }),
    createFileAlert("unknown", { Result: "", UpdatedTime: formatTimeAt(5) }),
    createFileAlert("unknown", { Result: "", UpdatedTime: formatTimeAt(4) }),
  ];

  it.each([
    [5, ["prevented-new", "prevented-old", "unknown", "allowed-old", "allowed-older"], undefined],
    [4, ["prevented-new", "unknown", "allowed-old", "allowed-older"], { violations: 1, occurrences: 1 }],
    [3, ["unknown", "allowed-old", "allowed-older"], { violations: 2, occurrences: 2 }],
    [2, ["allowed-old", "allowed-older"], { violations: 3, occurrences: 4 }],
    [1, ["allowed-old"], { violations: 4, occurrences: 5 }],
  ])(
    "%d: what was allowed outlives what may have been, and that what was prevented",
    (maxViolations, names, omitted) => {
      const cut = report(many, renderOptions({ maxViolations }));
      expect(cut.violations.map(({ resource }) => resource?.slice(5))).toEqual(names);
      expect(cut.omitted).toEqual(omitted);
      expect(cut.summary).toEqual(report(many).summary);
      expect(findFaults(cut)).toEqual([]);
    },
  );
});

describe("maxBytes", () => {
  const bodyBytes = ({ policy, summary, violations, omitted, coverage }: ReturnType<typeof report>) =>
    Buffer.byteLength(JSON.stringify({ policy, summary, violations, omitted, coverage }));
  const alerts = Array.from({ length: 100 }, (_, i) =>
    createFileAlert(`${"é".repeat(100)}-${"abcdefghij"[i % 10]}${"klmnopqrst"[Math.floor(i / 10)]}`, {
      UpdatedTime: formatTimeAt(i),
      ...(i < 3 ? ALLOWED : {}),
    }),
  );

  it("holds, counted in bytes and not in characters, and what was allowed is still there", () => {
    const whole = bodyBytes(report(alerts));
    for (const maxBytes of [whole, whole - 1, 32_768, 10_000, 4096]) {
      const cut = report(alerts, renderOptions({ maxBytes }));
      expect(bodyBytes(cut)).toBeLessThanOrEqual(maxBytes);
      // No more is cut than must be: one more violation of this size would not fit.
      expect(bodyBytes(cut)).toBeGreaterThan(maxBytes - 1800);
      expect(cut.violations.filter(({ outcome }) => outcome === "Allowed").length).toBe(
        Math.min(3, cut.violations.length),
      );
      expect(cut.summary).toEqual(report(alerts).summary);
      expect(findFaults(cut)).toEqual([]);
    }
  });

  it("so small that nothing fits leaves the summary", () => {
    const cut = report(alerts, renderOptions({ maxBytes: 100 }));
    expect(cut.violations).toEqual([]);
    expect(cut.omitted).toEqual({ violations: 100, occurrences: 100 });
    expect(cut.summary.occurrences).toBe(100);
  });
});

it("coverage says since when the stream is read, where it is", () => {
  const options = { ...renderOptions(), continuousSinceUs: 1_795_428_000_000_000 };
  expect(report([alert()], options).coverage).toEqual({
    continuousSince: "2026-11-23T10:00:00.000000Z",
    gaps: 0,
    throttleNotices: 0,
    lowerBound: false,
  });
});
