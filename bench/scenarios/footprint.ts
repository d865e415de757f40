// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Size of the program, and its memory when idle.

import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { startAlertSource } from "../support/alert-source.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import { readMemory } from "../support/process-stat.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

const MAX_BUNDLE = 2_000_000;
const MAX_IDLE = 90_000_000;

async function run(bench: Bench): Promise<Findings> {
  const bundleBytes = statSync(await bench.bundle()).size;
  const api = await emptyCluster(bench, 1);
  const source = await startAlertSource(bench.program);
  const operator = await BenchOperator.start(bench, source);
  try {
    await sleep(bench.quick ? 3000 : 30_000);
    const { rssBytes } = readMemory(operator.pid);
    return {
      rows: [
        {
          figure: "size of the bundle",
          against: "",
          aim: "≤ 2 MB",
          measured: `${(bundleBytes / 1e6).toFixed(2)} MB`,
          met: bundleBytes <= MAX_BUNDLE,
        },
        {
          figure: "memory when idle",
          against: "",
          aim: "≤ 90 MB",
          measured: `${Math.round(rssBytes / 1e6)} MB`,
          met: rssBytes <= MAX_IDLE,
        },
      ],
    };
  } finally {
    await operator.end();
    await source.stop();
    api.close();
  }
}

export const footprint: Scenario = {
  name: "footprint",
  about: "The size of the program, and its memory when nothing happens.",
  run,
};
