// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time for which the reader is kept from its socket while large reports are written at the highest pace.

import { eventually } from "../../test/support/eventually.ts";
import { startAlertSource } from "../support/alert-source.ts";
import { BenchOperator, emptyCluster, type LoopDelay } from "../support/operator.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

const SPACE = { reports: 20, violations: 300, pods: 1, namespaces: 20 };
const RATE = 10_000;
const MAX_P99_MS = 20;
const HOUR_MS = 3_600_000;

interface Measured {
  readonly delay: LoopDelay;
  readonly writesPerSecond: number;
}

async function measure(bench: Bench, intervalMs: number): Promise<Measured> {
  const seconds = bench.quick ? 5 : 30;
  const api = await emptyCluster(bench, SPACE.namespaces);
  const source = await startAlertSource(bench.program, SPACE);
  const operator = await BenchOperator.start(bench, source, {
    loopDelay: true,
    env: { PVO_REPORTS_MIN_INTERVAL_MS: String(intervalMs), PVO_REPORTS_MAX_INTERVAL_MS: String(intervalMs) },
  });
  try {
    await source.send({ count: source.keys, order: "sweep" });
    const written = () => operator.process.readMetric('report_writes_total{result="written"}');
    await eventually("every report written", async () => (await written()) >= SPACE.reports);
    await source.send({ count: 2 * RATE, rate: RATE });
    const before = await written();
    await operator.readLoopDelay();
    await source.send({ count: seconds * RATE, rate: RATE });
    const delay = await operator.readLoopDelay();
    return { delay, writesPerSecond: ((await written()) - before) / seconds };
  } finally {
    await operator.end();
    await source.stop();
    api.close();
  }
}

async function run(bench: Bench): Promise<Findings> {
  const writing = await measure(bench, 1000);
  const quiet = await measure(bench, HOUR_MS);
  const ms = (value: number) => value.toFixed(1);
  return {
    rows: [
      {
        figure: "event-loop delay p99 while reports of 300 violations are written",
        against: `no writes: ${ms(quiet.delay.p99)} ms`,
        aim: "≤ 20 ms",
        measured: `${ms(writing.delay.p99)} ms at ${writing.writesPerSecond.toFixed(0)} writes/s`,
        met: writing.delay.p99 <= MAX_P99_MS,
      },
    ],
    details: [
      {
        head: ["at 10,000 alerts/s", "writes/s", "delay p50, ms", "p99", "longest"],
        lines: [["reports of 300 violations written", writing] as const, ["nothing written", quiet] as const].map(
          ([name, { delay, writesPerSecond }]) => [
            name,
            writesPerSecond.toFixed(1),
            ms(delay.p50),
            ms(delay.p99),
            ms(delay.max),
          ],
        ),
      },
    ],
  };
}

export const loopDelay: Scenario = {
  name: "loop-delay",
  about: "How long the reader is kept from its socket while large reports are written as often as can be.",
  run,
};
