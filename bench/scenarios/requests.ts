// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Requests to the API server for a thousand alerts, beside a write for each alert.

import { eventually } from "../../test/support/eventually.ts";
import { type AlertSource, startAlertSource } from "../support/alert-source.ts";
import { AuditTail } from "../support/audit-tail.ts";
import { makePods } from "../support/objects.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";
import { WritePerAlert } from "../support/write-per-alert.ts";

interface Load {
  readonly namespaces: number;
  readonly rate: number;
  readonly seconds: number;
}

interface Requests {
  /** True for the first minute of many reports, each of which is created and written some times more. */
  readonly isFirstMinute: boolean;
  readonly alerts: number;
  /** For reports. */
  readonly reports: number;
  /** For Events, and to look up the pods that they are about. */
  readonly events: number;
  readonly seconds: number;
}

function loads(quick: boolean): Load[] {
  const rates = quick ? [10_000] : [1_000, 10_000];
  return [1, 100].flatMap((namespaces) =>
    rates.map((rate) => ({ namespaces, rate, seconds: quick ? 4 : namespaces === 1 ? 30 : 60 })),
  );
}

/** One report in each namespace. */
function spaceOf({ namespaces }: Load) {
  return { reports: namespaces, violations: 10, pods: 1, namespaces };
}

async function measure(bench: Bench, load: Load): Promise<Requests[]> {
  const api = await emptyCluster(bench, load.namespaces);
  await makePods(api, load.namespaces, load.namespaces);
  const source = await startAlertSource(bench.program, spaceOf(load));
  const operator = await BenchOperator.start(bench, source);
  try {
    const { auditLogPath } = await bench.cluster();
    const minutes = load.namespaces === 1 ? [false] : [true, false];
    const all: Requests[] = [];
    for (const isFirstMinute of minutes)
      all.push({ isFirstMinute, ...(await measureOnce(source, new AuditTail(auditLogPath), load)) });
    return all;
  } finally {
    await operator.end();
    await source.stop();
    api.close();
  }
}

async function measureOnce(
  source: AlertSource,
  audit: AuditTail,
  { rate, seconds }: Load,
): Promise<Omit<Requests, "isFirstMinute">> {
  const alerts = rate * seconds;
  const { elapsedMs } = await source.send({ count: alerts, rate });
  const requests = audit.ofOperators().map(({ objectRef }) => objectRef?.resource ?? "");
  const reports = requests.filter((resource) => resource.endsWith("policyviolationreports")).length;
  return { alerts, seconds: elapsedMs / 1000, reports, events: requests.length - reports };
}

async function measureBaseline(bench: Bench, load: Load): Promise<Requests> {
  const count = bench.quick ? 100 : 1000;
  const api = await emptyCluster(bench, load.namespaces);
  const source = await startAlertSource(bench.program, spaceOf(load));
  const startMs = performance.now();
  const client = new WritePerAlert(source.address, api);
  try {
    await source.clients(1);
    const audit = new AuditTail((await bench.cluster()).auditLogPath);
    await source.send({ count });
    await eventually("every alert written", () => client.written >= count, 300_000);
    const requests = audit.entries().filter(({ userAgent }) => userAgent === "bench");
    return {
      isFirstMinute: false,
      alerts: count,
      reports: requests.length,
      events: 0,
      seconds: (performance.now() - startMs) / 1000,
    };
  } finally {
    await client.stop();
    await source.stop();
    api.close();
  }
}

const perThousand = (requests: number, { alerts }: Requests) => ((1000 * requests) / alerts).toFixed(2);

async function run(bench: Bench): Promise<Findings> {
  const measured: { load: Load; ours: Requests }[] = [];
  for (const load of loads(bench.quick))
    for (const ours of await measure(bench, load)) measured.push({ load, ours });
  const baseline = await measureBaseline(bench, { namespaces: 1, rate: 0, seconds: 0 });
  const rows = measured.map(({ load: { namespaces, rate }, ours }) => ({
    figure: `API requests per 1,000 alerts, ${namespaces} namespace${namespaces === 1 ? "" : "s"}, ${rate / 1000} k/s${ours.isFirstMinute ? ", first minute" : ""}`,
    against: `a write per alert: ${perThousand(baseline.reports, baseline)}`,
    aim: ours.isFirstMinute ? "" : "≤ 1 plus Events",
    measured: `${perThousand(ours.reports, ours)} plus ${perThousand(ours.events, ours)}`,
    met: ours.isFirstMinute ? undefined : ours.reports <= ours.alerts / 1000,
  }));
  return {
    rows,
    details: [
      {
        head: ["namespaces", "alerts/s", "requests for reports", "a second", "for Events", "a second"],
        lines: [
          ...measured.map(({ load, ours }) => [
            `${load.namespaces}${ours.isFirstMinute ? ", first minute" : ""}`,
            load.rate.toLocaleString("en"),
            ours.reports.toLocaleString("en"),
            (ours.reports / ours.seconds).toFixed(1),
            ours.events.toLocaleString("en"),
            (ours.events / ours.seconds).toFixed(1),
          ]),
          [
            "1, a write per alert",
            `${(baseline.alerts / baseline.seconds).toFixed(0)}, as many as can be`,
            baseline.reports.toLocaleString("en"),
            (baseline.reports / baseline.seconds).toFixed(1),
            "0",
            "0",
          ],
        ],
      },
    ],
  };
}

export const requests: Scenario = {
  name: "requests",
  about: "How many requests the API server gets for a thousand alerts, beside a write for each alert.",
  run,
};
