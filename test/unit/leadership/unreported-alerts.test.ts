// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { UnreportedAlerts } from "../../../src/leadership/unreported-alerts.ts";
import { formatMicroTime } from "../../../src/lib/time.ts";
import { ReportedUntilIndex } from "../../../src/report/reported-until.ts";
import { alert, formatTimeAt, START_US, violation } from "../../support/gen.ts";
import { SMALL_BODY } from "../api/full-report.ts";

/** A report of one violation with the time that it was last seen, in milliseconds after the start. */
function report(occurrences: number, lastMs: number): Report {
  const { identity } = violation(alert());
  const lastSeen = formatMicroTime(START_US + lastMs * 1000);
  const times = { firstSeen: formatTimeAt(0), lastSeen };
  const pods = [{ name: "web-1", node: "node-1", occurrences, lastSeen }];
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "PolicyViolationReport",
    ...SMALL_BODY,
    metadata: { name: "no-package-managers", namespace: "shop", uid: "u" },
    policy: { name: "no-package-managers", kind: "KubeArmorPolicy" },
    summary: { ...SMALL_BODY.summary, occurrences, prevented: occurrences, ...times },
    violations: [{ id: "x", ...identity, occurrences, ...times, pods }],
  } as unknown as Report;
}

function drain(unreported: UnreportedAlerts, stored: readonly Report[]): [alerts: number, balance: number][] {
  const index = new ReportedUntilIndex(10);
  for (const each of stored) {
    unreported.observe(each);
    index.set(each, 0);
  }
  return [...unreported.drain(index)].map(({ alerts, balance }) => [[...alerts].length, balance]);
}

const LIMITS = { maxAlerts: 100, maxCells: 100, maxPodsPerViolation: 10 };

describe("alerts that a standby forgot", () => {
  it("are not made up for by those that the leader counted before the standby read", () => {
    const unreported = new UnreportedAlerts({ ...LIMITS, maxAlerts: 4 });
    unreported.observe(report(10, 1000));
    // Three came before this replica began to read.
    unreported.observe(report(13, 2000));
    for (let i = 0; i < 5; i++) unreported.add(violation(alert({ UpdatedTime: formatTimeAt(3000 + i) })), true);
    const forgotten = unreported.forgottenTotal;
    expect(forgotten).toBeGreaterThan(0);
    unreported.settle();
    expect(drain(unreported, [report(13, 2000)])).toEqual([[5 - forgotten, forgotten]]);
  });

  it("are made up for by what the leader reports once all of that has been read here", () => {
    const unreported = new UnreportedAlerts({ ...LIMITS, maxAlerts: 4 });
    unreported.observe(report(10, 1000));
    unreported.settle();
    for (let i = 0; i < 5; i++) unreported.add(violation(alert({ UpdatedTime: formatTimeAt(3000 + i) })), true);
    expect(drain(unreported, [report(15, 3004)])).toEqual([]);
  });
});

describe("the bounds of a standby", () => {
  /** One alert each of `count` violations. */
  function fill(unreported: UnreportedAlerts, count: number): void {
    for (let i = 0; i < count; i++) {
      const fields = { Operation: "File", Source: "/bin/x", Resource: `/srv/f${i}x`, UpdatedTime: formatTimeAt(i) };
      unreported.add(violation(alert(fields)), true);
    }
  }

  it("cost one violation at a time, the least recent, however many are held", () => {
    const alerts = new UnreportedAlerts({ ...LIMITS, maxAlerts: 1000, maxCells: 10_000 });
    fill(alerts, 1003);
    expect([alerts.held, alerts.forgottenTotal]).toEqual([1000, 3]);
    const cells = new UnreportedAlerts({ ...LIMITS, maxAlerts: 10_000, maxCells: 1000 });
    fill(cells, 1003);
    expect([cells.held, cells.forgottenTotal]).toEqual([1000, 3]);
  });

  it("keep the newest alerts of a single violation", () => {
    const unreported = new UnreportedAlerts({ ...LIMITS, maxAlerts: 1000 });
    for (let i = 0; i < 1100; i++) unreported.add(violation(alert({ UpdatedTime: formatTimeAt(i) })), true);
    const [{ alerts } = { alerts: [] }] = unreported.drain(new ReportedUntilIndex(10));
    const times = [...alerts].map(({ timeUs }) => timeUs);
    expect(times.length + unreported.forgottenTotal).toBe(1100);
    expect(times[0]).toBeGreaterThan(START_US + 200_000);
  });
});

describe("alerts without a time of their own", () => {
  const undated = (ms: number) => violation(alert({ UpdatedTime: formatTimeAt(ms) }));

  it("are taken over where no report has their violation", () => {
    const unreported = new UnreportedAlerts(LIMITS);
    for (let i = 0; i < 3; i++) unreported.add(undated(i), false);
    expect(drain(unreported, [])).toEqual([[3, 0]]);
  });

  it("are taken over where the report is clearly older", () => {
    const unreported = new UnreportedAlerts(LIMITS);
    unreported.observe(report(1, 1000));
    unreported.add(undated(6001), false);
    expect(drain(unreported, [report(1, 1000)])).toEqual([[1, 0]]);
  });

  it("are left to a report that may have them, and missed where it has no more occurrences", () => {
    for (const [occurrences, balance] of [
      [2, []],
      [1, [[0, 1]]],
    ] as const) {
      const unreported = new UnreportedAlerts(LIMITS);
      unreported.observe(report(1, 1000));
      unreported.settle();
      unreported.add(undated(6000), false);
      expect(drain(unreported, [report(occurrences, 1001)])).toEqual(balance);
    }
  });
});

describe("a list that was cut", () => {
  const cut = (occurrences: number, lastMs: number): Report => ({
    ...report(occurrences, lastMs),
    violations: [],
    omitted: { violations: 1, occurrences },
  });
  const other = (i: number, ms: number) =>
    violation(alert({ Operation: "File", Resource: `/x/${"abcdefgh"[i]}`, UpdatedTime: formatTimeAt(ms) }));

  it.each([
    ["all of them are in it", 3, 0],
    ["one of them is in no report", 2, 1],
    ["none of them is in it", 0, 3],
  ])(
    "takes alerts up to its newest time for counted; where %s the balance says how many are missing",
    (_, more, missing) => {
      const unreported = new UnreportedAlerts(LIMITS);
      unreported.observe(cut(5, 1000));
      unreported.settle();
      for (let i = 0; i < 3; i++) unreported.add(other(i, 1500 + i), true);
      unreported.add(other(3, 2500), true);
      // The leader has written another alert of this time, and `more` of the three.
      const takeovers = drain(unreported, [cut(5 + more, 2000)]);
      expect(takeovers).toEqual([[1, missing]]);
    },
  );
});
