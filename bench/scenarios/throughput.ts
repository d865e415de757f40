// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts a second that the whole pipeline takes, compared with clients that do less, in turn, from the same server.

import { startAlertSource } from "../support/alert-source.ts";
import { BenchClient, type ClientKind, type Taken } from "../support/client.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { median, medianRatio } from "../support/statistics.ts";

const KINDS = ["bare", "pipeline", "reader", "go-discard"] as const;

/** After so much of a quick run one round is enough. */
const QUICK_MS = 20_000;

const ABOUT: Record<ClientKind, string> = {
  bare: "grpc-js, default options, discards the bytes",
  pipeline: "stream → decode → aggregate, writer and journal on",
  reader: "the same without writer and journal",
  "go-discard": "grpc-go, discards the bytes: the most that the server can send",
};

/** Kinds of alerts, spread evenly: 1,000 reports of 10 violations. */
const EVEN_SPACE = { reports: 1_000, violations: 10, pods: 1, namespaces: 10 };

/** Returns the rates of pipeline and bare client, each as a list, where no alert repeats one of the last 10,000. */
async function runEven({ quick, program, log }: Bench): Promise<{ pipeline: number[]; bare: number[] }> {
  const [count, rounds] = quick ? [40_000, 1] : [300_000, 3];
  const source = await startAlertSource(program, EVEN_SPACE);
  const rates = { pipeline: [] as number[], bare: [] as number[] };
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const kind of ["pipeline", "bare"] as const) {
        const client = await BenchClient.start(kind, source, program);
        await client.take(source, { count: 2 * source.keys, order: "sweep" });
        const { received, elapsedMs } = await client.take(source, { count, order: "sweep" });
        rates[kind].push(received / elapsedMs);
        await client.stop();
      }
      log(`evenly spread: round ${round} of ${rounds}`);
    }
  } finally {
    await source.stop();
  }
  return rates;
}

async function run(bench: Bench): Promise<Findings> {
  const { quick, program, log } = bench;
  const [warmUp, count, rounds] = quick ? [20_000, 40_000, 2] : [100_000, 600_000, 3];
  const source = await startAlertSource(program);
  const startMs = performance.now();
  const taken: Record<ClientKind, Taken[]> = { bare: [], pipeline: [], reader: [], "go-discard": [] };
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const kind of KINDS) {
        const client = await BenchClient.start(kind, source, program);
        await client.take(source, { count: warmUp });
        taken[kind].push(await client.take(source, { count }));
        await client.stop();
      }
      log(`round ${round} of ${rounds}`);
      if (quick && performance.now() - startMs > QUICK_MS) break;
    }
  } finally {
    await source.stop();
  }
  return summarize(
    taken,
    await runEven(bench),
    `${taken.bare.length} rounds of ${count.toLocaleString("en")} alerts of ${source.alertBytes} bytes`,
  );
}

function summarize(
  taken: Record<ClientKind, Taken[]>,
  even: { pipeline: number[]; bare: number[] },
  runs: string,
): Findings {
  const rates = (kind: ClientKind) => taken[kind].map(({ received, elapsedMs }) => received / elapsedMs);
  const cpu = (kind: ClientKind) => taken[kind].map(({ received, cpuUs }) => cpuUs / received);
  const toBare = medianRatio(rates("pipeline"), rates("bare"));
  const evenToBare = medianRatio(even.pipeline, even.bare);
  return {
    rows: [
      {
        figure: "alerts/s through the whole pipeline",
        against: `a bare grpc-js client: ${formatThousands(rates("bare"))}; a Go client that discards: ${formatThousands(rates("go-discard"))}`,
        aim: "≥ 0.8",
        measured: `${toBare.toFixed(2)} (${formatThousands(rates("pipeline"))})`,
        met: toBare >= 0.8,
      },
      {
        figure: "the same, alerts spread evenly over 10,000 kinds",
        against: `a bare grpc-js client: ${formatThousands(even.bare)}`,
        aim: "≥ 0.8",
        measured: `${evenToBare.toFixed(2)} (${formatThousands(even.pipeline)})`,
        met: evenToBare >= 0.8,
      },
      {
        figure: "processor time per alert through the whole pipeline",
        against: `a bare grpc-js client: ${median(cpu("bare")).toFixed(1)} µs`,
        aim: "",
        measured: `${median(cpu("pipeline")).toFixed(1)} µs`,
        met: undefined,
      },
    ],
    details: [
      {
        head: ["client", `k alerts/s, median of ${runs}`, "µs of processor time per alert"],
        lines: KINDS.map((kind) => [
          `${kind}: ${ABOUT[kind]}`,
          Math.round(median(rates(kind))).toString(),
          median(cpu(kind)).toFixed(2),
        ]),
      },
    ],
  };
}

function formatThousands(rates: readonly number[]): string {
  return `${Math.round(median(rates))} k/s`;
}

export const throughput: Scenario = {
  name: "throughput",
  about: "The whole pipeline compared with clients that do less, in turn, from the same server.",
  run,
};
