// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Cost of one write of a report for the API server, by the way in which it is written.

import type { Report } from "../../src/api/v1alpha1.ts";
import type { KubeApi } from "../support/kube-api.ts";
import { reportOf, reportsPath } from "../support/objects.ts";
import { emptyCluster } from "../support/operator.ts";
import { cpuMs, pidOf } from "../support/process-stat.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { median } from "../support/statistics.ts";

const NAMESPACE = "team-aaaa";
const VIOLATIONS = 300;

type Write = (api: KubeApi, path: string, report: Report) => Promise<Report>;

/** Each writes the whole report, as one violation has changed. */
const WAYS: Readonly<Record<string, Write>> = {
  "PUT (ours)": (api, path, report) => api.call("PUT", path, report),
  "server-side apply": (api, path, { metadata: { name, namespace, labels }, ...body }) =>
    api.call(
      "PATCH",
      `${path}?fieldManager=bench&force=true`,
      { ...body, metadata: { name, namespace, labels } },
      "application/apply-patch+yaml",
    ),
  "merge patch": (api, path, { summary, violations }) =>
    api.call("PATCH", path, { summary, violations }, "application/merge-patch+json"),
};

/** A report after one more occurrence of one violation. */
function changed(report: Report, index: number): Report {
  const { summary, violations } = report;
  const which = index % violations.length;
  return {
    ...report,
    summary: { ...summary, occurrences: summary.occurrences + 1, prevented: summary.prevented + 1 },
    violations: violations.map((each, i) =>
      i === which ? { ...each, occurrences: each.occurrences + 1 } : each,
    ),
  };
}

async function run(bench: Bench): Promise<Findings> {
  const [writes, rounds] = bench.quick ? [4, 1] : [20, 3];
  const api = await emptyCluster(bench, 1);
  const pid = pidOf("kube-apiserver", (await bench.cluster()).pids());
  const used: Record<string, number[]> = {};
  let bytes = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [way, write] of Object.entries(WAYS)) {
        const name = `written-${round}-${way.replace(/[^a-z]+/gi, "-").toLowerCase()}x`;
        const body = reportOf(NAMESPACE, name, VIOLATIONS);
        const path = `${reportsPath(NAMESPACE)}/${name}`;
        let report = await api.call<Report>("POST", reportsPath(NAMESPACE), body);
        bytes = JSON.stringify(body).length;
        const before = cpuMs(pid);
        for (let i = 0; i < writes; i++) report = await write(api, path, changed(report, i));
        (used[way] ??= []).push((cpuMs(pid) - before) / writes);
      }
    }
  } finally {
    api.close();
  }
  return findings(used, bytes);
}

function findings(used: Readonly<Record<string, readonly number[]>>, bytes: number): Findings {
  const ways = Object.entries(used).map(([way, all]) => ({ way, ms: median(all) }));
  const put = ways[0]?.ms ?? Number.NaN;
  return {
    rows: [
      {
        figure: "API server's processor time per write of a report of 300 violations",
        against: ways
          .slice(1)
          .map(({ way, ms }) => `${way}: ${ms.toFixed(1)} ms (${(ms / put).toFixed(1)} ×)`)
          .join(", "),
        aim: "",
        measured: `PUT: ${put.toFixed(1)} ms, ${Math.round(bytes / 1000)} kB`,
        met: undefined,
      },
    ],
  };
}

export const writeCost: Scenario = {
  name: "write-cost",
  about: "What one write of a report costs the API server, by the way in which it is written.",
  run,
};
