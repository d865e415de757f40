// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../src/aggregate/counts/set-numbers.ts";
import { ChangeCollector } from "../../../src/journal/change-collector.ts";
import { alert, MEMORY, START_US, violation } from "../../support/gen.ts";

const ONE_REPORT = { reports: 1, rows: 10 };

it("a pass that begins again vouches for what has changed behind the one before", () => {
  const aggregator = new Aggregator(MEMORY, () => {}, { numbers: new SetNumbers() });
  const collector = new ChangeCollector({ all: [], readChange: () => undefined });
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
