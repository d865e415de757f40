// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Report } from "../../../../src/api/v1alpha1.ts";
import { reportKey } from "../../../../src/ingest/violation/violation.ts";
import { UnreportedAlerts } from "../../../../src/leadership/standby/unreported-alerts.ts";
import { formatMicroTime } from "../../../../src/lib/time.ts";
import { ReportedUntilIndex } from "../../../../src/report/reported-until.ts";
import { alert, formatTimeAt, START_US, violation } from "../../../support/gen.ts";
import { SMALL_BODY } from "../../api/full-report.ts";

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

  it("hold for any number of reports that were never stored", () => {
    const unreported = new UnreportedAlerts({ ...LIMITS, maxCells: 10 });
    for (let i = 0; i < 10_100; i++) unreported.add(violation(alert({ PolicyName: `p-${i}` })), true);
    const { forgotten } = unreported;
    // Ten are held.
    expect([unreported.held, forgotten.size, forgotten.overflows]).toEqual([10, 10_000, 90]);
    const key = reportKey("shop", "p-0");
    unreported.add(violation(alert({ PolicyName: "p-0" })), true);
    const taken = [...unreported.drain(new ReportedUntilIndex(10))];
    const first = taken.find(({ namespace, policyName }) => reportKey(namespace, policyName) === key);
    expect([taken.length, first?.balance]).toEqual([10_010, 1]);
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

describe("what a leader did not write, of alerts that a report seems to have", () => {
  /** Adds alerts of one pod, which arrive in this order. */
  const addAt = (unreported: UnreportedAlerts, ...times: number[]) => {
    for (const ms of times) unreported.add(violation(alert({ UpdatedTime: formatTimeAt(ms) })), true);
  };
  /** A standby that began to read when the leader had five alerts that were in no report. */
  const startLate = (...times: number[]) => {
    const unreported = new UnreportedAlerts(LIMITS);
    unreported.observe(report(10, 1000));
    addAt(unreported, ...times);
    return unreported;
  };

  it.each([
    ["with equal times", [2000, 2000, 2000]],
    ["out of order", [2000, 1999, 1990]],
  ])("is missed where they came %s while the replica began to read", (_, times) => {
    const unreported = startLate(...times);
    // Its five, and one of the three.
    unreported.observe(report(16, 2000));
    unreported.settle();
    expect(drain(unreported, [report(16, 2000)])).toEqual([[0, 2]]);
  });

  it("is missed where the replica has not read enough to know what the leader had before", () => {
    const unreported = startLate(2000, 2000, 2000);
    expect(drain(unreported, [report(16, 2000)])).toEqual([[0, 2]]);
  });

  it("is missed where alerts came after the report that seems to have them", () => {
    const unreported = startLate(2000);
    unreported.observe(report(16, 2000));
    addAt(unreported, 2000, 2000);
    unreported.settle();
    expect(drain(unreported, [report(16, 2000)])).toEqual([[0, 2]]);
  });

  it("is nothing where alerts came in the order of their times", () => {
    const unreported = startLate(2000, 2001, 2002);
    unreported.observe(report(18, 2002));
    unreported.settle();
    expect(drain(unreported, [report(18, 2002)])).toEqual([]);
    expect(drain(startLate(2000, 2001, 2002), [report(18, 2002)])).toEqual([]);
  });

  it("is found in the next report, or is nothing after a few reports without such alerts", () => {
    const written = startLate(2000, 2000, 2000);
    written.observe(report(16, 2000));
    written.settle();
    addAt(written, 3000);
    expect(drain(written, [report(19, 3000)])).toEqual([]);

    const none = startLate(2000, 2000, 2000);
    none.observe(report(18, 2000));
    none.settle();
    for (const i of [1, 2]) {
      addAt(none, 2000 + i);
      none.observe(report(18 + i, 2000 + i));
    }
    addAt(none, 3000);
    expect(drain(none, [report(21, 3000)])).toEqual([]);
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
