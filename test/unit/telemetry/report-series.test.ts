// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import type { ReportCounts } from "../../../src/telemetry/metrics-source.ts";
import { ReportSeries } from "../../../src/telemetry/report-series.ts";

function report(policy: string, prevented: number, lastSeenMs = 0): ReportCounts {
  return { namespace: "shop", policy, severity: "high", outcomes: { Prevented: prevented }, lastSeenMs };
}

/** `policy prevented` of each row. */
function formatRows(series: ReportSeries, ...reports: ReportCounts[]): string[] {
  return series.selectRows(reports).map(({ labels, outcomes }) => `${labels.policy} ${outcomes["Prevented"]}`);
}

test("each report has a row, and a cluster report no namespace that could be one", () => {
  const series = new ReportSeries(10);
  const cluster = { ...report("b", 2, 7), namespace: undefined };
  expect(series.selectRows([report("a", 1, 5), cluster])).toEqual([
    {
      labels: { resource_namespace: "shop", policy: "a", severity: "high" },
      outcomes: { Prevented: 1 },
      lastSeenMs: 5,
    },
    {
      labels: { resource_namespace: "_cluster", policy: "b", severity: "high" },
      outcomes: { Prevented: 2 },
      lastSeenMs: 7,
    },
  ]);
  expect(series.others).toBe(0);
});

test("beyond the bound, reports are summed in one row, which is said", () => {
  const series = new ReportSeries(1);
  const rows = series.selectRows([report("a", 1, 9), report("b", 2, 7), report("c", 3, 8)]);
  expect(rows.at(-1)).toEqual({
    labels: { resource_namespace: "_other", policy: "_other", severity: "_other" },
    outcomes: { Prevented: 5 },
    lastSeenMs: 8,
  });
  expect(rows).toHaveLength(2);
  expect(series.others).toBe(2);
});

test("a report keeps its row, or its place in the bucket, in any order", () => {
  const series = new ReportSeries(1);
  formatRows(series, report("a", 1), report("b", 2));
  expect(formatRows(series, report("b", 3), report("a", 1))).toEqual(["a 1", "_other 3"]);
  // The first has gone and left its row: the one in the bucket stays there, a new one gets the row.
  expect(formatRows(series, report("b", 3), report("c", 4))).toEqual(["c 4", "_other 3"]);
});

test("the bucket's counts never fall, even when a report in it is gone", () => {
  const series = new ReportSeries(0);
  expect(formatRows(series, report("a", 5), report("b", 2))).toEqual(["_other 7"]);
  expect(formatRows(series, report("b", 2))).toEqual(["_other 7"]);
  expect(formatRows(series)).toEqual(["_other 7"]);
  expect(formatRows(series, report("a", 1))).toEqual(["_other 8"]);
  expect(series.others).toBe(1);
});
