// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Processor time of an alert, by stage: the pipeline's time per alert, shared out as its profile shows.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AlertSource, startAlertSource } from "../support/alert-source.ts";
import { BenchClient } from "../support/client.ts";
import { flameGraph } from "../support/flame-graph.ts";
import { type CpuProfile, callTree, STAGES, stageTimes } from "../support/profile.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

async function run(bench: Bench): Promise<Findings> {
  const [warmUp, count] = bench.quick ? [20_000, 40_000] : [100_000, 600_000];
  const source = await startAlertSource(bench.program);
  const client = await BenchClient.start("pipeline", source, bench.program);
  const file = join(bench.dir, "pipeline.cpuprofile");
  try {
    await client.take(source, { count: warmUp });
    const { cpuUs } = await client.take(source, { count });
    await client.startProfile();
    await client.take(source, { count });
    await client.stopProfile(file);
    const bareUs = await bareCpu(bench, client, source, warmUp, count);
    return findings(file, cpuUs / count, bareUs / count, bench.flameGraphPath);
  } finally {
    await client.stop();
    await source.stop();
  }
}

async function bareCpu(
  { program }: Bench,
  pipeline: BenchClient,
  source: AlertSource,
  warmUp: number,
  count: number,
): Promise<number> {
  await pipeline.stop();
  const bare = await BenchClient.start("bare", source, program);
  try {
    await bare.take(source, { count: warmUp });
    return (await bare.take(source, { count })).cpuUs;
  } finally {
    await bare.stop();
  }
}

function findings(file: string, usPerAlert: number, bareUs: number, graphPath: string | undefined): Findings {
  const tree = callTree(JSON.parse(readFileSync(file, "utf8")) as CpuProfile);
  const title = "The pipeline: feed, decode, aggregate, write. Width is processor time.";
  if (graphPath !== undefined) writeFileSync(graphPath, flameGraph(tree, title));
  const times = stageTimes(tree);
  const total = STAGES.reduce((sum, stage) => sum + times[stage], 0);
  const us = (stage: (typeof STAGES)[number]) => (usPerAlert * times[stage]) / total;
  return {
    rows: [
      {
        figure: "processor time per alert, by stage",
        against: "a bare grpc-js client",
        aim: "",
        measured: `${usPerAlert.toFixed(1)} µs (bare: ${bareUs.toFixed(1)} µs)`,
        met: undefined,
      },
    ],
    details: [
      {
        head: ["stage", "µs per alert", "share"],
        lines: [
          ...STAGES.map((stage) => [
            stage,
            us(stage).toFixed(2),
            `${Math.round((100 * times[stage]) / total)} %`,
          ]),
          ["all", usPerAlert.toFixed(2), ""],
          ["bare client", bareUs.toFixed(2), ""],
        ],
      },
    ],
  };
}

export const stages: Scenario = {
  name: "stages",
  about: "What the processor does for an alert, by stage; the flame graph is in bench/flame-graph.svg.",
  run,
};
