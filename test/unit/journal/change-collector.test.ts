// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../src/aggregate/counts/set-numbers.ts";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import { ALL, BATCH, ChangeCollector } from "../../../src/journal/change-collector.ts";
import { alert, MEMORY, START_US, violation } from "../../support/gen.ts";

const ONE_REPORT = { reports: 1, rows: 10 };

/** A collector that has written all of `reports` reports. */
function setUp(reports: number) {
  const aggregator = new Aggregator(MEMORY, () => {}, { numbers: new SetNumbers() });
  const collector = new ChangeCollector({ all: [] });
  collector.attach(aggregator);
  for (let i = 0; i < reports; i++) aggregator.add(violation(alert({ PolicyName: `p-${i}` })));
  collector.collect(ALL, 1000);
  return { aggregator, collector };
}

it("a batch visits each quiet report once, and those with violations to write once more", () => {
  const { aggregator, collector } = setUp(500);
  let visits = 0;
  for (const ledger of aggregator.ledgers.values()) {
    const { sets } = ledger;
    const { log } = sets;
    const get = () => {
      visits++;
      return log;
    };
    Object.defineProperty(sets, "log", { get });
  }
  expect(collector.collect(BATCH, 2000)).toEqual({ changes: [], totalsUntilMs: 2000, isAll: true });
  const ofQuiet = visits;
  for (const policy of ["p-7", "p-9"])
    aggregator.add(violation(alert({ PolicyName: policy, Operation: "File", Resource: "/b" })));
  visits = 0;
  expect(collector.collect(BATCH, 3000).changes).toHaveLength(2);
  expect(visits).toBeLessThan(ofQuiet + 20);
  expect(ofQuiet).toBeLessThanOrEqual(2 * 500);
});

it("writes no violation of a report that was removed while its violations waited", () => {
  const { aggregator, collector } = setUp(2);
  for (const Resource of ["/b", "/c"])
    for (const PolicyName of ["p-0", "p-1"])
      aggregator.add(violation(alert({ PolicyName, Operation: "File", Resource })));
  expect(collector.collect({ reports: 10, rows: 1 }, 2000)).toMatchObject({ isAll: false });
  aggregator.detach(reportKey("shop", "p-1"));
  const { changes, isAll } = collector.collect(BATCH, 3000);
  expect(changes.map(({ policyName }) => policyName)).toEqual(["p-0"]);
  expect(isAll).toBe(true);
});

it("a pass that begins again vouches for what has changed behind the one before", () => {
  const aggregator = new Aggregator(MEMORY, () => {}, { numbers: new SetNumbers() });
  const collector = new ChangeCollector({ all: [] });
  collector.attach(aggregator);
  for (const PolicyName of ["a", "b"]) aggregator.add(violation(alert({ PolicyName })));
  expect(collector.collect(ONE_REPORT, 1000)).toMatchObject({
    changes: [{ policyName: "a" }],
    totalsUntilMs: undefined,
  });
  aggregator.ledger("shop", "a").gaps.addGap("NotRunning", START_US);
  collector.restartPass();
  const names: string[] = [];
  for (let nowMs = 2000; ; nowMs++) {
    const { changes, totalsUntilMs } = collector.collect(ONE_REPORT, nowMs);
    names.push(...changes.map(({ policyName }) => policyName));
    if (totalsUntilMs === undefined) continue;
    expect(totalsUntilMs).toBe(2000);
    break;
  }
  expect(names).toEqual(["a", "b"]);
});
