// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Memory of the operator after ten million alerts, and its growth.

import { startAlertSource } from "../support/alert-source.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import { readMemory } from "../support/process-stat.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

const MAX_BYTES = 150_000_000;
/** Variation of memory between two looks that still counts as flat. */
const FLAT = 1.05;
const PARTS = 20;
const SAMPLE_EVERY_MS = 200;
/** On a machine that is too slow for all alerts, the run ends here and says how far it came. */
const MAX_MS = 9 * 60_000;

interface Sample {
  readonly alerts: number;
  /** The most that was seen since the sample before. */
  readonly rssBytes: number;
}

async function run(bench: Bench): Promise<Findings> {
  const [reports, count] = bench.quick ? [50, 100_000] : [1000, 10_000_000];
  const namespaces = 50;
  const api = await emptyCluster(bench, namespaces);
  const source = await startAlertSource(bench.program, { reports, violations: 100, pods: 1, namespaces });
  const operator = await BenchOperator.start(bench, source);
  const samples: Sample[] = [];
  let rssBytes = 0;
  const look = setInterval(() => {
    rssBytes = Math.max(rssBytes, readMemory(operator.pid).rssBytes);
  }, SAMPLE_EVERY_MS);
  try {
    await source.send({ count: source.keys, order: "sweep" }, MAX_MS);
    const startMs = performance.now();
    for (let part = 1; part <= PARTS && performance.now() - startMs < MAX_MS; part++) {
      rssBytes = 0;
      await source.send({ count: count / PARTS }, MAX_MS);
      rssBytes = Math.max(rssBytes, readMemory(operator.pid).rssBytes);
      samples.push({ alerts: (part * count) / PARTS, rssBytes });
    }
    const held = await operator.process.readMetric("violations_held");
    return summarize(samples, held);
  } finally {
    clearInterval(look);
    await operator.end();
    await source.stop();
    api.close();
  }
}

function summarize(samples: readonly Sample[], held: number): Findings {
  const mb = (bytes: number) => Math.round(bytes / 1e6);
  const most = (part: readonly Sample[]) => Math.max(...part.map(({ rssBytes }) => rssBytes));
  const half = Math.floor(samples.length / 2);
  const third = samples.slice(half, half + Math.ceil((samples.length - half) / 2));
  const last = samples.slice(half + third.length);
  const peak = most(samples.slice(half));
  const growth = most(last) / most(third);
  const alerts = samples.at(-1)?.alerts ?? 0;
  return {
    rows: [
      {
        figure: "memory with 100,000 violations held, after 10,000,000 alerts",
        against: "",
        aim: "≤ 150 MB",
        measured: `${mb(peak)} MB, ${held.toLocaleString("en")} held, after ${alerts.toLocaleString("en")}`,
        met: peak <= MAX_BYTES,
      },
      {
        figure: "growth of that memory over the second half",
        against: "its first part",
        aim: "flat",
        measured: growth.toFixed(2),
        met: growth <= FLAT,
      },
    ],
    details: [
      {
        head: ["alerts", "most memory, MB"],
        lines: samples.map(({ alerts: n, rssBytes }) => [n.toLocaleString("en"), String(mb(rssBytes))]),
      },
    ],
  };
}

export const memory: Scenario = {
  name: "memory",
  about: "What memory the operator has after ten million alerts, and whether it still grows.",
  run,
};
