// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { Distinct } from "../../../src/aggregate/counts/distinct.ts";
import { ThrottledSubjects } from "../../../src/aggregate/gaps/throttled-subjects.ts";
import type { Urgency } from "../../../src/aggregate/gaps/urgency.ts";
import type { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { alert, formatTimeAt, hostAlert, MEMORY, START_US, throttleNotice, violation } from "../../support/gen.ts";
import { add, createAggregator, persist, renderReports } from "../ingest/fold-alerts.ts";

const FILE = { Operation: "File", Resource: "/etc/shadow" };
const KEY = reportKey("shop", "no-package-managers");
const CLUSTER_KEY = reportKey(undefined, "no-package-managers");

function setUpWithChanges(maxViolations = 100): { aggregator: Aggregator; changes: [string, Urgency][] } {
  const changes: [string, Urgency][] = [];
  return { aggregator: new Aggregator({ ...MEMORY, maxViolations }, (...change) => changes.push(change)), changes };
}

/** One alert, in a report that was written. */
function setUpWritten(): { aggregator: Aggregator; ledger: Ledger } {
  const { aggregator } = setUpWithChanges();
  aggregator.add(violation(alert()));
  const ledger = aggregator.ledger("shop", "no-package-managers");
  persist(ledger);
  return { aggregator, ledger };
}

describe("a change", () => {
  it("is as urgent as it is new", () => {
    const { aggregator, changes } = setUpWithChanges(2);
    for (const each of [alert(), alert(), alert(FILE), alert({ ...FILE, Resource: "/x" }), hostAlert()]) {
      aggregator.add(violation(each));
    }
    aggregator.gaps.late.addGap("StreamDown", START_US);
    aggregator.gaps.late.writeAll(0);
    expect(changes).toEqual([
      [KEY, "new_report"],
      [KEY, "counters"],
      [KEY, "new_violation"],
      // At the bound of memory another one gives way.
      [KEY, "new_violation"],
      [reportKey(undefined, "host-files"), "new_report"],
      [KEY, "stream"],
      [reportKey(undefined, "host-files"), "stream"],
    ]);
    expect(aggregator.stats).toMatchObject({ violations: 2, evicted: 2, withoutDetails: 0, unwritten: 5 });
  });

  it("of counters alone is reported once, and again after they were taken", () => {
    const { aggregator, changes } = setUpWithChanges();
    // The memo hands over the same occurrence for every alert of a kind.
    const occurrence = violation(alert());
    const repeat = (times: number) => {
      for (let i = 0; i < times; i++) aggregator.add(occurrence);
    };
    repeat(100);
    expect(changes).toEqual([
      [KEY, "new_report"],
      [KEY, "counters"],
    ]);
    const ledger = aggregator.ledger("shop", "no-package-managers");
    ledger.write.take();
    repeat(100);
    expect(changes.slice(2)).toEqual([[KEY, "counters"]]);
    ledger.write.restore();
    expect(ledger.counts.unwritten).toBe(200);
  });
});

describe("a namespace that is gone", () => {
  it("hands what is unwritten to the cluster report, with its name", () => {
    const { aggregator, changes } = setUpWithChanges();
    aggregator.add(violation(alert()));
    aggregator.add(violation(alert(FILE)));
    runAtOnce(aggregator.moveToCluster(KEY));
    expect([...aggregator.ledgers.keys()]).toEqual([CLUSTER_KEY]);
    expect(changes.at(-1)).toEqual([CLUSTER_KEY, "new_report"]);
    expect(aggregator.stats.violations).toBe(2);
    const [report] = renderReports(aggregator);
    expect(report?.kind).toBe("ClusterPolicyViolationReport");
    expect(report?.policy).toEqual({ name: "no-package-managers", kind: "KubeArmorPolicy", severity: 5 });
    expect(report?.violations.map(({ namespace, occurrences }) => [namespace, occurrences])).toEqual([
      ["shop", 1],
      ["shop", 1],
    ]);
  });

  it("keeps two namespaces of the same policy apart", () => {
    const { aggregator } = setUpWithChanges();
    aggregator.add(violation(alert()));
    aggregator.add(violation(alert({ NamespaceName: "bank", OwnerNamespace: "bank" })));
    runAtOnce(aggregator.moveToCluster(KEY));
    runAtOnce(aggregator.moveToCluster(reportKey("bank", "no-package-managers")));
    const [report] = renderReports(aggregator);
    expect(report?.summary).toMatchObject({ occurrences: 2, violations: 2, workloads: 2 });
    expect(new Set(report?.violations.map(({ namespace }) => namespace))).toEqual(new Set(["shop", "bank"]));
  });

  it("hands over no deletion of its own report, of which the cluster report has lost nothing", () => {
    const { aggregator, ledger } = setUpWritten();
    runAtOnce(ledger.transfer.rebase(undefined, START_US + 1_000_000));
    aggregator.add(violation(alert({ UpdatedTime: formatTimeAt(2000) })));
    runAtOnce(aggregator.moveToCluster(KEY));
    expect(renderReports(aggregator).map(({ summary, coverage }) => [summary.occurrences, coverage])).toEqual([
      [1, { gaps: 0, throttleNotices: 0, lowerBound: false }],
    ]);
  });

  it("takes what was written with it", () => {
    const { aggregator, ledger } = setUpWritten();
    ledger.gaps.addGap("StreamDown", START_US);
    runAtOnce(aggregator.moveToCluster(KEY));
    expect(aggregator.ledgers.size).toBe(0);
    expect(aggregator.stats.violations).toBe(0);
  });

  it.each([
    ["one gap, known to both, is one", 1, 1, 1],
    ["gaps from before the cluster report come along", 3, 1, 3],
    ["gaps that only the cluster report has known stay", 1, 3, 3],
  ])("%s", (_name, inNamespace, inCluster, gaps) => {
    const { aggregator } = setUpWithChanges();
    aggregator.add(violation(alert()));
    aggregator.add(violation(hostAlert({ PolicyName: "no-package-managers" })));
    for (let i = 0; i < inNamespace; i++)
      aggregator.ledger("shop", "no-package-managers").gaps.addGap("StreamDown", START_US + i);
    for (let i = 0; i < inCluster; i++)
      aggregator.ledger(undefined, "no-package-managers").gaps.addGap("StreamDown", START_US + i);
    runAtOnce(aggregator.moveToCluster(KEY));
    expect(renderReports(aggregator)[0]?.coverage.gaps).toBe(gaps);
  });

  it("is not of the cluster report and of no namespace", () => {
    const { aggregator } = setUpWithChanges();
    aggregator.add(violation(hostAlert()));
    runAtOnce(aggregator.moveToCluster(reportKey(undefined, "host-files")));
    runAtOnce(aggregator.moveToCluster("nobody"));
    expect(aggregator.ledgers.size).toBe(1);
  });
});

describe("a notice", () => {
  it("has the number of its reports", () => {
    const { aggregator } = setUpWithChanges();
    aggregator.add(violation(alert()));
    aggregator.add(violation(alert({ PolicyName: "other" })));
    aggregator.add(violation(alert({ PolicyName: "third", PodName: "web-2" })));
    const notice = {
      namespace: "shop",
      node: "node-1",
      container: "",
      timeUs: 1,
      maxAlertsPerSec: 1,
      intervalSeconds: 1,
    };
    expect(aggregator.addThrottleNotice({ ...notice, pod: "web-1" })).toBe(2);
    expect(aggregator.addThrottleNotice({ ...notice, pod: "web-9" })).toBe(0);
    // Nothing but the node is known: all of the namespace's pods there may be meant.
    expect(aggregator.addThrottleNotice({ ...notice, pod: "" })).toBe(3);
    expect(aggregator.addThrottleNotice({ ...notice, pod: "", node: "node-2" })).toBe(0);
  });

  it("from before the first violation counts once, however many violations follow", () => {
    const aggregator = createAggregator();
    add(aggregator, throttleNotice());
    add(aggregator, throttleNotice());
    for (const mods of [{}, FILE, {}]) add(aggregator, alert(mods));
    expect(renderReports(aggregator)[0]?.coverage).toMatchObject({ throttleNotices: 2, lowerBound: true });
  });

  it("counts once also in a report that has seen too many pods to remember", () => {
    const aggregator = createAggregator();
    for (let i = 0; i <= Distinct.MAX; i++) add(aggregator, alert({ PodName: `p-${i}` }));
    add(aggregator, throttleNotice({ PodName: "late" }));
    for (let i = 0; i < 5; i++) add(aggregator, alert({ PodName: "late" }));
    expect(renderReports(aggregator)[0]?.coverage.throttleNotices).toBe(1);
  });

  it("is remembered for a bounded number of pods, and the oldest is evicted", () => {
    const aggregator = createAggregator();
    for (let i = 0; i <= ThrottledSubjects.MAX; i++) add(aggregator, throttleNotice({ PodName: `p-${i}` }));
    add(aggregator, alert({ PodName: "p-0" }));
    add(aggregator, alert({ PodName: "p-1", PolicyName: "other" }));
    expect(renderReports(aggregator).map(({ coverage }) => coverage.throttleNotices)).toEqual([0, 1]);
  });
});
