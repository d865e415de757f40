// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Measures the growth of an alert's cost with the number of violations held, for alerts that repeat a few violations
// (Zipf) and for alerts spread evenly over all, and the bytes held for a violation. The whole process is measured at full
// speed; next to it what an alert costs without writer and journal, whose work goes with the time and not with the alerts.

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
  { reports: 1_000, violations: 10 },
  { reports: 1_000, violations: 100 },
];
const ORDERS = ["zipf", "sweep"] as const;
type Order = (typeof ORDERS)[number];
const ORDER_NAMES: Record<Order, string> = { zipf: "Zipf", sweep: "evenly spread" };
const QUICK_SIZES: readonly Size[] = [SIZES[0] as Size, { reports: 1_000, violations: 10 }];
const MAX_GROWTH = 1.3;

interface Measured {
  readonly usPerAlert: Readonly<Record<Order, number>>;
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
    const before = await client.readState();
    await client.take(source, { count: source.keys, order: "sweep" });
    const after = await client.readState();
    const usPerAlert = { zipf: 0, sweep: 0 };
    for (const order of ORDERS) usPerAlert[order] = (await client.take(source, { count, order })).cpuUs / count;
    return { usPerAlert, bytesEach: measureBytesEach(before, after) };
  } finally {
    await client.stop();
    await source.stop();
  }
}

function measureBytesEach(before: PipelineState, after: PipelineState): number {
  return (after.heldBytes - before.heldBytes) / (after.violations - before.violations);
}

async function run(bench: Bench): Promise<Findings> {
  const sizes = bench.quick ? QUICK_SIZES : SIZES;
  const [count, rounds] = bench.quick ? [30_000, 1] : [300_000, 3];
  const all = sizes.map((): Measured[] => []);
  const readers = sizes.map((): Measured[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, size] of sizes.entries()) {
      all[i]?.push(await measure(bench, "pipeline", size, count));
      if (!bench.quick) readers[i]?.push(await measure(bench, "reader", size, count));
    }
    bench.log(`round ${round} of ${rounds}`);
  }
  const costs = ORDERS.map((order) => getCosts(order, sizes, all, readers));
  const largest = all.at(-1)?.map((each) => each.bytesEach) ?? [];
  return {
    rows: [
      ...costs.flatMap((each) => each.slice(1).map(formatGrowth)),
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
        head: ["held", "µs of processor time per alert", "ratio", "without writer and journal", "ratio"],
        lines: costs
          .flat()
          .map(({ order, size, us, ratio, readerUs, readerRatio }) => [
            `${name(size)}, ${ORDER_NAMES[order]}`,
            us.toFixed(2),
            ratio.toFixed(2),
            bench.quick ? "" : readerUs.toFixed(2),
            bench.quick ? "" : readerRatio.toFixed(2),
          ]),
      },
    ],
  };
}

/** The cost of an alert at one size. */
interface Cost {
  readonly order: Order;
  readonly size: Size;
  readonly us: number;
  /** To the first size. */
  readonly ratio: number;
  /** Without writer and journal. */
  readonly readerUs: number;
  readonly readerRatio: number;
}

function getCosts(
  order: Order,
  sizes: readonly Size[],
  all: readonly (readonly Measured[])[],
  readers: readonly (readonly Measured[])[],
): Cost[] {
  const getTimes = (each: readonly Measured[] = []) => each.map(({ usPerAlert }) => usPerAlert[order]);
  return sizes.map((size, i) => {
    const [times, readerTimes] = [getTimes(all[i]), getTimes(readers[i])];
    const ratio = medianRatio(times, getTimes(all[0]));
    const readerRatio = medianRatio(readerTimes, getTimes(readers[0]));
    return { order, size, us: median(times), ratio, readerUs: median(readerTimes), readerRatio };
  });
}

function formatGrowth({ order, size, ratio }: Cost): Row {
  return {
    figure: `processor time per alert, whole process, at ${name(size)}, ${ORDER_NAMES[order]}`,
    against: name(SIZES[0] as Size),
    aim: "≤ 1.3",
    measured: ratio.toFixed(2),
    met: ratio <= MAX_GROWTH,
  };
}

function name({ reports, violations }: Size): string {
  return `${reports.toLocaleString("en")} reports, ${(reports * violations).toLocaleString("en")} violations`;
}

export const growth: Scenario = {
  name: "growth",
  about: "The growth of an alert's cost with what is held, and the memory that a violation takes.",
  run,
};
