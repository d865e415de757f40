// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Whether an alert costs more when more is held, and what is held for a violation. What is done for the reports, with
// writer and journal on, goes with the time and not with the alerts: it stands beside it.

import { startAlertSource } from "../support/alert-source.ts";
import { BenchClient, type ClientKind, type PipelineState } from "../support/client.ts";
import type { Bench, Findings, Row, Scenario } from "../support/scenario.ts";
import { median, medianRatio } from "../support/statistics.ts";

interface Size {
  readonly reports: number;
  /** Of each report. */
  readonly violations: number;
}

/** The first is what the others are compared with. */
const SIZES: readonly Size[] = [
  { reports: 10, violations: 1 },
  { reports: 1_000, violations: 1 },
  { reports: 10_000, violations: 1 },
  { reports: 1_000, violations: 100 },
];
const QUICK_SIZES: readonly Size[] = [SIZES[0] as Size, { reports: 1_000, violations: 10 }];
const MAX_GROWTH = 1.1;

interface Measured {
  readonly usPerAlert: number;
  /** Bytes held for each violation. */
  readonly bytesEach: number;
}

async function measure({ program }: Bench, kind: ClientKind, size: Size, count: number): Promise<Measured> {
  const { reports, violations } = size;
  const source = await startAlertSource(program, { reports, violations, pods: 1, namespaces: 10 });
  const client = await BenchClient.start(kind, source, program);
  try {
    // Two of ten keys, for the code to be compiled before anything is weighed.
    await client.take(source, { count: Math.min(20_000, count), order: "zipf" });
    const before = await client.state();
    await client.take(source, { count: source.keys, order: "sweep" });
    const after = await client.state();
    const { cpuUs } = await client.take(source, { count });
    return { usPerAlert: cpuUs / count, bytesEach: bytesEach(before, after) };
  } finally {
    await client.stop();
    await source.stop();
  }
}

function bytesEach(before: PipelineState, after: PipelineState): number {
  return (after.heldBytes - before.heldBytes) / (after.violations - before.violations);
}

async function run(bench: Bench): Promise<Findings> {
  const sizes = bench.quick ? QUICK_SIZES : SIZES;
  const [count, rounds] = bench.quick ? [30_000, 1] : [300_000, 3];
  const measured = sizes.map((): Measured[] => []);
  const all = sizes.map((): Measured[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, size] of sizes.entries()) {
      measured[i]?.push(await measure(bench, "reader", size, count));
      if (!bench.quick) all[i]?.push(await measure(bench, "pipeline", size, count));
    }
    bench.log(`round ${round} of ${rounds}`);
  }
  const times = measured.map((all) => all.map(({ usPerAlert }) => usPerAlert));
  const ratios = times.map((each) => medianRatio(each, times[0] ?? []));
  const largest = measured.at(-1)?.map((each) => each.bytesEach) ?? [];
  return {
    rows: [
      ...sizes.slice(1).map((size, i) => growthRow(size, ratios[i + 1] ?? Number.NaN)),
      {
        figure: "bytes held per violation",
        against: "",
        aim: "",
        measured: `${Math.round(median(largest))} bytes, at ${name(sizes.at(-1) as Size)}`,
        met: undefined,
      },
    ],
    details: [
      {
        head: ["held", "µs of processor time per alert", "ratio", "with writer and journal, at full speed"],
        lines: sizes.map((size, i) => [
          name(size),
          median(times[i] ?? []).toFixed(2),
          (ratios[i] ?? Number.NaN).toFixed(2),
          bench.quick ? "" : median((all[i] ?? []).map(({ usPerAlert }) => usPerAlert)).toFixed(2),
        ]),
      },
    ],
  };
}

function growthRow(size: Size, ratio: number): Row {
  return {
    figure: `processor time to take an alert at ${name(size)}`,
    against: name(SIZES[0] as Size),
    aim: "grows < 10 %",
    measured: ratio.toFixed(2),
    met: ratio < MAX_GROWTH,
  };
}

function name({ reports, violations }: Size): string {
  return `${reports.toLocaleString("en")} reports, ${(reports * violations).toLocaleString("en")} violations`;
}

export const growth: Scenario = {
  name: "growth",
  about: "Whether an alert costs more when more is held, and what a violation takes.",
  run,
};
