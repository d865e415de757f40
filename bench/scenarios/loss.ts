// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts that a node server drops for us, as KubeArmor does, next to those that it drops for a bare client.

import { type AlertSource, startAlertSource } from "../support/alert-source.ts";
import { BenchClient } from "../support/client.ts";
import type { Bench, Findings, Row, Scenario } from "../support/scenario.ts";
import { median } from "../support/statistics.ts";

const CLIENTS = ["bare", "pipeline", "go-discard"] as const;

const LOSERS: Record<(typeof CLIENTS)[number], string> = {
  bare: "a bare grpc-js client",
  pipeline: "the pipeline",
  "go-discard": "a Go client that discards",
};

interface Load {
  readonly name: string;
  readonly count: number;
  /** Alerts a second; absent for all at once. */
  readonly rate?: number;
  /** The client's main thread is busy for this part of every second. */
  readonly stallMs?: number;
}

function listLoads(quick: boolean): Load[] {
  const seconds = quick ? 1 : 5;
  const rates = quick ? [20_000, 100_000] : [20_000, 50_000, 100_000];
  return [
    ...rates.map((rate) => ({ name: `${rate / 1000} k/s`, count: rate * seconds, rate })),
    { name: "10,000 at once", count: 10_000 },
    // Last: a stalled client stays so.
    {
      name: "10 k/s, main thread busy 250 ms of every second",
      count: 10_000 * (quick ? 3 : 10),
      rate: 10_000,
      stallMs: 250,
    },
  ];
}

async function run({ quick, program, log }: Bench): Promise<Findings> {
  const [rounds, warmUp] = quick ? [1, 20_000] : [3, 100_000];
  const all = listLoads(quick);
  const lost = {
    bare: all.map((): number[] => []),
    pipeline: all.map((): number[] => []),
    "go-discard": all.map((): number[] => []),
  };
  for (let round = 1; round <= rounds; round++) {
    for (const kind of CLIENTS) {
      const source = await startAlertSource(program);
      const client = await BenchClient.start(kind, source, program);
      try {
        await client.take(source, { count: warmUp });
        for (const [i, load] of all.entries()) {
          // A Go client has no main thread to keep busy.
          if (kind === "go-discard" && load.stallMs !== undefined) continue;
          if (load.stallMs !== undefined) await client.keepBusy(load.stallMs);
          lost[kind][i]?.push(await countLost(source, load));
        }
      } finally {
        await client.stop();
        await source.stop();
      }
    }
    log(`round ${round} of ${rounds}`);
  }
  const share = (kind: (typeof CLIENTS)[number], i: number) =>
    (100 * median(lost[kind][i] ?? [])) / (all[i]?.count ?? 1);
  return {
    rows: all.map((load, i) => formatLossRow(load, share("pipeline", i), share("bare", i), share("go-discard", i))),
    details: [
      {
        head: ["alerts", "offered", ...CLIENTS.map((kind) => `lost by ${LOSERS[kind]}`)],
        lines: all.map(({ name, count }, i) => [
          name,
          count.toLocaleString("en"),
          ...CLIENTS.map((kind) => formatLoss(lost[kind][i] ?? [])),
        ]),
      },
    ],
  };
}

async function countLost(source: AlertSource, { count, rate }: Load): Promise<number> {
  const { dropped } = await source.send({ count, drop: true, ...(rate === undefined ? {} : { rate }) });
  return dropped;
}

/** The noise of the machine: the same client differs by this from round to round. */
const MARGIN_PERCENT = 1;

function formatLoss(lost: readonly number[]): string {
  return lost.length === 0 ? "" : Math.round(median(lost)).toLocaleString("en");
}

function formatLossRow({ name, stallMs }: Load, ours: number, bare: number, floor: number): Row {
  const go = stallMs === undefined ? `; a Go client that discards: ${floor.toFixed(1)} %` : "";
  return {
    figure: `alerts lost at ${name}`,
    against: `a bare grpc-js client: ${bare.toFixed(1)} %${go}`,
    aim: stallMs === undefined ? "no more than it (± 1 %)" : "none",
    measured: `${ours.toFixed(1)} %`,
    met: stallMs === undefined ? ours <= bare + MARGIN_PERCENT : ours === 0,
  };
}

export const loss: Scenario = {
  name: "loss",
  about: "Alerts that a server like KubeArmor's (queue of 1,000) drops for us, next to those for a bare client.",
  run,
};
