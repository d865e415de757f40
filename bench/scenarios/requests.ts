// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Requests to the API server for a thousand alerts. A write for each alert would take 2,000: one to read, one to write.

import { type AlertSource, startAlertSource } from "../support/alert-source.ts";
import { AuditTail } from "../support/audit-tail.ts";
import { makePods } from "../support/objects.ts";
import { BenchOperator, emptyCluster } from "../support/operator.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

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

function listLoads(quick: boolean): Load[] {
  const rates = quick ? [10_000] : [1_000, 10_000];
  return [1, 100].flatMap((namespaces) =>
    rates.map((rate) => ({ namespaces, rate, seconds: quick ? 4 : namespaces === 1 ? 30 : 60 })),
  );
}

/** One report in each namespace. */
function getKeySpace({ namespaces }: Load) {
  return { reports: namespaces, violations: 10, pods: 1, namespaces };
}

async function measure(bench: Bench, load: Load): Promise<Requests[]> {
  const api = await emptyCluster(bench, load.namespaces);
  await makePods(api, load.namespaces, load.namespaces);
  const source = await startAlertSource(bench.program, getKeySpace(load));
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
  const requests = audit.readOfOperators().map(({ objectRef }) => objectRef?.resource ?? "");
  const reports = requests.filter((resource) => resource.endsWith("policyviolationreports")).length;
  return { alerts, seconds: elapsedMs / 1000, reports, events: requests.length - reports };
}

const formatPerThousand = (requests: number, { alerts }: Requests) => ((1000 * requests) / alerts).toFixed(2);

async function run(bench: Bench): Promise<Findings> {
  const measured: { load: Load; ours: Requests }[] = [];
  for (const load of listLoads(bench.quick))
    for (const ours of await measure(bench, load)) measured.push({ load, ours });
  const rows = measured.map(({ load: { namespaces, rate }, ours }) => ({
    figure: `API requests per 1,000 alerts, ${namespaces} namespace${namespaces === 1 ? "" : "s"}, ${rate / 1000} k/s${ours.isFirstMinute ? ", first minute" : ""}`,
    against: "",
    aim: ours.isFirstMinute ? "" : "≤ 1 plus Events",
    measured: `${formatPerThousand(ours.reports, ours)} plus ${formatPerThousand(ours.events, ours)}`,
    met: ours.isFirstMinute ? undefined : ours.reports <= ours.alerts / 1000,
  }));
  return {
    rows,
    details: [
      {
        head: ["namespaces", "alerts/s", "requests for reports", "a second", "for Events", "a second"],
        lines: measured.map(({ load, ours }) => [
          `${load.namespaces}${ours.isFirstMinute ? ", first minute" : ""}`,
          load.rate.toLocaleString("en"),
          ours.reports.toLocaleString("en"),
          (ours.reports / ours.seconds).toFixed(1),
          ours.events.toLocaleString("en"),
          (ours.events / ours.seconds).toFixed(1),
        ]),
      },
    ],
  };
}

export const requests: Scenario = {
  name: "requests",
  about: "How many requests the API server gets for a thousand alerts.",
  run,
};
