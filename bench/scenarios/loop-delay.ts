// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time for which the reader is kept from its socket while large reports are written at the highest pace.

import { eventually } from "../../test/support/eventually.ts";
import { startAlertSource } from "../support/alert-source.ts";
import { BenchOperator, emptyCluster, type LoopDelay } from "../support/operator.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

/** A key space, and how its reports are written. */
interface Load {
  readonly space: { reports: number; violations: number; pods: number; namespaces: number };
  /** Between two writes of a report; undefined for the defaults. */
  readonly intervalMs?: number;
}

const SPACE = { reports: 20, violations: 300, pods: 1, namespaces: 20 };
/** As many violations as the memory may hold. */
const FULL_SPACE = { reports: 1_000, violations: 200, pods: 1, namespaces: 20 };
const RATE = 10_000;
const MAX_P99_MS = 20;
const MAX_STEP_MS = 20;
const HOUR_MS = 3_600_000;

interface Measured {
  readonly delay: LoopDelay;
  readonly writesPerSecond: number;
}

async function measure(bench: Bench, { space, intervalMs }: Load): Promise<Measured> {
  const seconds = bench.quick ? 5 : 30;
  const api = await emptyCluster(bench, space.namespaces);
  const source = await startAlertSource(bench.program, space);
  const operator = await BenchOperator.start(bench, source, {
    loopDelay: true,
    env:
      intervalMs === undefined
        ? {}
        : {
            PVO_REPORTS_MIN_INTERVAL_MS: String(intervalMs),
            PVO_REPORTS_MAX_INTERVAL_MS: String(intervalMs),
          },
  });
  try {
    await source.send({ count: source.keys, order: "sweep" });
    const written = () => operator.process.metric('report_writes_total{result="written"}');
    const wanted = intervalMs === undefined ? 1 : space.reports;
    await eventually("every report written", async () => (await written()) >= wanted);
    await source.send({ count: 2 * RATE, rate: RATE });
    const before = await written();
    await operator.loopDelay();
    await source.send({ count: seconds * RATE, rate: RATE });
    const delay = await operator.loopDelay();
    return { delay, writesPerSecond: ((await written()) - before) / seconds };
  } finally {
    await operator.end();
    await source.stop();
    api.close();
  }
}

async function run(bench: Bench): Promise<Findings> {
  const writing = await measure(bench, { space: SPACE, intervalMs: 1000 });
  const quiet = await measure(bench, { space: SPACE, intervalMs: HOUR_MS });
  const full = await measure(bench, { space: bench.quick ? SPACE : FULL_SPACE });
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
      {
        figure: "longest step on the main thread with 200,000 violations, 10,000 alerts/s",
        against: `${SPACE.reports * SPACE.violations} violations, no writes: ${ms(quiet.delay.max)} ms`,
        aim: "≤ 20 ms",
        measured: `${ms(full.delay.max)} ms; p99 ${ms(full.delay.p99)} ms`,
        met: full.delay.max <= MAX_STEP_MS,
      },
    ],
    details: [
      {
        head: ["at 10,000 alerts/s", "writes/s", "delay p50, ms", "p99", "longest"],
        lines: [
          ["reports of 300 violations written", writing] as const,
          ["nothing written", quiet] as const,
          ["200,000 violations in 1,000 reports", full] as const,
        ].map(([name, { delay, writesPerSecond }]) => [
          name,
          writesPerSecond.toFixed(1),
          ms(delay.p50),
          ms(delay.p99),
          ms(delay.max),
        ]),
      },
    ],
  };
}

export const loopDelay: Scenario = {
  name: "loop-delay",
  about: "How long the reader is kept from its socket while large reports are written as often as can be.",
  run,
};
