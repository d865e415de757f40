// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Cost of one write of a report for the API server.

import type { Report } from "../../src/api/v1alpha1.ts";
import { createReport, getReportsPath } from "../support/objects.ts";
import { emptyCluster } from "../support/operator.ts";
import { findPid, readCpuMs } from "../support/process-stat.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { median } from "../support/statistics.ts";

const NAMESPACE = "team-aaaa";
const VIOLATIONS = 300;

/** A report after one more occurrence of one violation. */
function addOccurrence(report: Report, index: number): Report {
  const { summary, violations } = report;
  const which = index % violations.length;
  return {
    ...report,
    summary: { ...summary, occurrences: summary.occurrences + 1, prevented: summary.prevented + 1 },
    violations: violations.map((each, i) => (i === which ? { ...each, occurrences: each.occurrences + 1 } : each)),
  };
}

async function run(bench: Bench): Promise<Findings> {
  const [writes, rounds] = bench.quick ? [4, 1] : [20, 3];
  const api = await emptyCluster(bench, 1);
  const pid = findPid("kube-apiserver", (await bench.cluster()).pids());
  const used: number[] = [];
  let bytes = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const name = `written-${round}`;
      const body = createReport(NAMESPACE, name, VIOLATIONS);
      let report = await api.call<Report>("POST", getReportsPath(NAMESPACE), body);
      bytes = JSON.stringify(body).length;
      const before = readCpuMs(pid);
      for (let i = 0; i < writes; i++)
        report = await api.call("PUT", `${getReportsPath(NAMESPACE)}/${name}`, addOccurrence(report, i));
      used.push((readCpuMs(pid) - before) / writes);
    }
  } finally {
    api.close();
  }
  return {
    rows: [
      {
        figure: "API server's processor time per write of a report of 300 violations",
        against: "",
        aim: "",
        measured: `${median(used).toFixed(1)} ms, ${Math.round(bytes / 1000)} kB`,
        met: undefined,
      },
    ],
  };
}

export const writeCost: Scenario = {
  name: "write-cost",
  about: "What one write of a report costs the API server.",
  run,
};
