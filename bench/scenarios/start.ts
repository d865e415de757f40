// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// From the start of the process to the open stream and to the first write, with more and more reports to be listed,
// next to a list of the same reports that does nothing else.

import type { Report } from "../../src/api/v1alpha1.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type AlertSource, startAlertSource } from "../support/alert-source.ts";
import { AuditTail } from "../support/audit-tail.ts";
import type { KubeApi } from "../support/kube-api.ts";
import { ALL_REPORTS, createReports, getReportsPath } from "../support/objects.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import { readMemory } from "../support/process-stat.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { median } from "../support/statistics.ts";

const NAMESPACES = 20;
/** Largest aims for the first write in milliseconds, by the number of reports. */
const AIMS = new Map([
  [0, 1000],
  [10_000, 2000],
]);
const PAGE = 500;

interface Start {
  readonly streamMs: number;
  readonly writeMs: number;
  readonly peakBytes: number;
  /** Requests that listed reports. */
  readonly lists: number;
  readonly bareListMs: number;
}

/** Lists all reports page by page and parses them, one page after the other; returns the milliseconds. */
async function listBare(api: KubeApi): Promise<number> {
  const startMs = performance.now();
  let token: string | undefined = "";
  while (token !== undefined) {
    const path: string = `${ALL_REPORTS}?limit=${PAGE}&continue=${encodeURIComponent(token)}`;
    const page = await api.call<{ metadata: { continue?: string } }>("GET", path);
    token = page.metadata.continue || undefined;
  }
  return performance.now() - startMs;
}

async function startOnce(bench: Bench, source: AlertSource, api: KubeApi): Promise<Start> {
  const bareListMs = await listBare(api);
  const { auditLogPath } = await bench.cluster();
  await bench.bundle();
  const audit = new AuditTail(auditLogPath);
  const startMs = Date.now();
  const operator = await BenchOperator.launch(bench, source);
  try {
    const streamMs = (await source.clients(1)) - startMs;
    await source.send({ count: 1, order: "sweep" });
    const created = await eventually("the first write", () =>
      audit.readOfOperators().find(({ verb, objectRef }) => verb === "create" && isReport(objectRef?.resource)),
    );
    const lists = audit
      .readOfOperators()
      .filter((entry) => entry.verb === "list" && isReport(entry.objectRef?.resource));
    return {
      streamMs,
      writeMs: Date.parse(created.stageTimestamp) - startMs,
      peakBytes: readMemory(operator.pid).peakBytes,
      lists: lists.length,
      bareListMs,
    };
  } finally {
    await operator.end();
    await source.clients(0);
  }
}

/** Deletes what the last start wrote, so that the next one has a first write, too. */
async function removeOwn(api: KubeApi): Promise<void> {
  const path = getReportsPath("team-aaaa");
  const { items } = await api.call<{ items: Report[] }>("GET", path);
  const own = items.filter(({ metadata }) => !metadata.name.startsWith("planted-"));
  for (const { metadata } of own) await api.call("DELETE", `${path}/${metadata.name}`);
}

function isReport(resource: string | undefined): boolean {
  return resource === "policyviolationreports" || resource === "clusterpolicyviolationreports";
}

async function run(bench: Bench): Promise<Findings> {
  const [sizes, rounds] = bench.quick ? [[0, 300], 2] : [[0, 1_000, 10_000], 3];
  const starts = new Map<number, Start[]>();
  const source = await startAlertSource(bench.program, { reports: 1, violations: 2, pods: 1, namespaces: 1 });
  try {
    for (const size of sizes) {
      const all: Start[] = [];
      starts.set(size, all);
      const api = await emptyCluster(bench, NAMESPACES);
      await createReports(api, size, NAMESPACES);
      for (let round = 1; round <= rounds; round++) {
        all.push(await startOnce(bench, source, api));
        await removeOwn(api);
      }
      api.close();
      bench.log(`${size} reports`);
    }
  } finally {
    await source.stop();
  }
  return summarize(starts);
}

function summarize(starts: ReadonlyMap<number, readonly Start[]>): Findings {
  const figures = [...starts].map(([size, all]) => ({
    size,
    stream: Math.round(median(all.map(({ streamMs }) => streamMs))),
    write: Math.round(median(all.map(({ writeMs }) => writeMs))),
    peak: Math.round(median(all.map(({ peakBytes }) => peakBytes)) / 1e6),
    lists: median(all.map(({ lists }) => lists)),
    bare: Math.round(median(all.map(({ bareListMs }) => bareListMs))),
  }));
  return {
    rows: figures.map(({ size, stream, write, peak, bare }) => ({
      figure: `start to open stream, to first write, with ${size.toLocaleString("en")} reports`,
      against: `a bare paged list: ${bare} ms`,
      aim: AIMS.has(size) ? `≤ ${(AIMS.get(size) ?? 0) / 1000} s` : "memory bounded",
      measured: `${stream} ms, ${write} ms; at most ${peak} MB`,
      met: AIMS.has(size) ? write <= (AIMS.get(size) ?? 0) : undefined,
    })),
    details: [
      {
        head: [
          ...["reports present", "stream open, ms", "first write, ms", "most memory, MB", "list requests"],
          "bare list, ms",
        ],
        lines: figures.map((each) => Object.values(each).map(String)),
      },
    ],
  };
}

export const start: Scenario = {
  name: "start",
  about: "From the start of the process to the open stream and to the first write.",
  run,
};
