// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time from the first occurrence of a violation until a watcher of the reports sees it.

import type { Report } from "../../src/api/v1alpha1.ts";
import { eventually } from "../../test/support/eventually.ts";
import { startAlertSource } from "../support/alert-source.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { percentile } from "../support/statistics.ts";

const REPORTS = "/apis/reports.kubearmor.com/v1alpha1/policyviolationreports";
const RATE = 10_000;
/** Five new violations a second among the others. */
const FRESH_EVERY = 2_000;
const NAMESPACES = 10;
const MAX_P50_MS = 300;
const MAX_P99_MS = 1000;

async function run(bench: Bench): Promise<Findings> {
  const seconds = bench.quick ? 6 : 60;
  const api = await emptyCluster(bench, NAMESPACES);
  const source = await startAlertSource(bench.program, { reports: 50, violations: 4, pods: 2, namespaces: NAMESPACES });
  const operator = await BenchOperator.start(bench, source);
  const watching = new AbortController();
  const delays = new Map<string, number>();
  try {
    // Objects from before the measurement do not count.
    await source.send({ count: source.keys, order: "sweep" });
    await operator.process.waitForWritten();
    const known = new Set<string>();
    let isMeasuring = false;
    await api.watch<Report>(
      REPORTS,
      ({ object }) => {
        const nowMs = performance.timeOrigin + performance.now();
        for (const { id, firstSeen } of object.violations ?? []) {
          const key = `${object.metadata.namespace}/${object.metadata.name}/${id}`;
          if (known.has(key)) continue;
          known.add(key);
          if (isMeasuring) delays.set(key, nowMs - parseEpochMs(firstSeen));
        }
      },
      watching.signal,
    );
    await eventually("the reports in the watch", () => known.size >= source.keys / 2);
    isMeasuring = true;
    const count = RATE * seconds;
    await source.send({ count, rate: RATE, freshEvery: FRESH_EVERY });
    await eventually("all new violations in the watch", () => delays.size >= count / FRESH_EVERY);
  } finally {
    watching.abort();
    await operator.end();
    await source.stop();
    api.close();
  }
  return summarize([...delays.values()]);
}

/** With the microseconds. */
function parseEpochMs(time: string): number {
  return Date.parse(`${time.slice(0, 19)}Z`) + Number(time.slice(20, 26)) / 1000;
}

function summarize(delays: readonly number[]): Findings {
  const at = (share: number) => Math.round(percentile(delays, share));
  return {
    rows: [
      {
        figure: "first sight of a violation to a watch, at 10,000 alerts/s, p50",
        against: "",
        aim: "≤ 0.3 s",
        measured: `${at(0.5)} ms`,
        met: at(0.5) <= MAX_P50_MS,
      },
      {
        figure: "first sight of a violation to a watch, at 10,000 alerts/s, p99",
        against: "",
        aim: "≤ 1 s",
        measured: `${at(0.99)} ms, of ${delays.length}; at most ${at(1)} ms`,
        met: at(0.99) <= MAX_P99_MS,
      },
    ],
  };
}

export const firstSight: Scenario = {
  name: "first-sight",
  about: "From the time of a violation's first alert to its report in a watch, at 10,000 alerts/s.",
  run,
};
