// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// OpenReports of reports that are unlike the samples: cut lists, accepted violations, hosts, long and strange names,
// policies of one name, acceptances that the configuration denies. Each copy is compared with its report by rules written here.

import { beforeAll, expect, test } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { OpenReport, OpenReportResult } from "../../src/api/openreports.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { renderManifest } from "../../tools/sample-objects.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { formatTimeAt, hostAlert, wireAlert } from "../support/gen.ts";
import { installOpenReports, listOpenReports, toResultId, toStatus } from "../support/openreports/openreports.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";

const LONG = `no-${"shells-".repeat(35)}ever`;

let pid = 1;

function createWireAlert(mods: Partial<Alert>): WireAlert {
  pid += 1;
  return wireAlert({ UpdatedTime: formatTimeAt(pid * 1000), HostPID: pid }, mods);
}

/** An alert on a program that was started. */
function createStartAlert(path: string, mods: Partial<Alert>): WireAlert {
  return createWireAlert({ ProcessName: path, Resource: path, ...mods });
}

/** Alerts that are sent: each line is a report, or part of one. */
function sendAll(): WireAlert[] {
  return [
    ...Array.from({ length: 305 }, (_, i) =>
      createStartAlert(`/bin/tool-${i}`, { PolicyName: "wide", Result: i % 3 ? "Permission denied" : "Passed" }),
    ),
    ...["/bin/known", "/bin/new"].map((path) => createStartAlert(path, { PolicyName: "mixed", Result: "Passed" })),
    ...[LONG, "x".repeat(253), "Not A Name!", "not-a-name", "run-1234abcd"].map((PolicyName) =>
      createWireAlert({ PolicyName }),
    ),
    createStartAlert("/bin/known", { PolicyName: "mixed", NamespaceName: "closed", Result: "Passed" }),
    createWireAlert({ PolicyName: "same" }),
    createWireAlert({ PolicyName: "same", NamespaceName: "bank" }),
    wireAlert(hostAlert({ PolicyName: "same", UpdatedTime: formatTimeAt(1) })),
    wireAlert(hostAlert({ PolicyName: LONG, UpdatedTime: formatTimeAt(2) })),
  ];
}

/** Violations that neither the report nor its copy lists. */
function countOmitted({ results }: OpenReport): { violations: number; occurrences: number } {
  const rest = results.find(({ rule }) => rule === "omitted")?.properties;
  return { violations: Number(rest?.["violations"] ?? 0), occurrences: Number(rest?.["occurrences"] ?? 0) };
}

/** Says where a copy is not what its report says. */
function compare(report: Report, copy: OpenReport): string[] {
  const { namespace = "", name, uid } = report.metadata;
  const listed = copy.results.filter(({ rule }) => rule !== "omitted");
  const omitted = countOmitted(copy);
  const byId = new Map(report.violations.map((violation) => [violation.id, violation]));
  const isRight = ({ properties, result }: OpenReportResult) => {
    const violation = byId.get(properties["violation"] ?? "");
    return (
      violation !== undefined &&
      properties["resultID"] === toResultId(report.metadata, violation) &&
      Number.parseInt(properties["occurrences"] ?? "", 10) === violation.occurrences &&
      result === toStatus(violation)
    );
  };
  const count = (status: string) => copy.results.filter(({ result }) => result === status).length;
  const listedOccurrences = listed.reduce((sum, { properties }) => {
    return sum + (byId.get(properties["violation"] ?? "")?.occurrences ?? 0);
  }, 0);
  const checks: Record<string, boolean> = {
    owner: copy.metadata.ownerReferences[0]?.uid === uid,
    results: listed.every(isRight),
    summary: (["pass", "fail", "warn", "error", "skip"] as const).every(
      (status) => copy.summary[status] === count(status),
    ),
    violations: listed.length + omitted.violations === report.summary.violations,
    occurrences: listedOccurrences + omitted.occurrences === report.summary.occurrences,
  };
  return Object.entries(checks).flatMap(([check, ok]) => (ok ? [] : `${namespace}/${name}: ${check}`));
}

describeReal("OpenReports of reports with bounds", () => {
  const cluster = useCluster();
  const bed = useNode(cluster, { dropLikeKubeArmor: false });

  beforeAll(async () => {
    await cluster.applyCrds();
    await cluster.apply(renderManifest({ namespaces: ["shop", "bank", "closed"], pods: [], nodes: [] }));
    await installOpenReports(cluster);
    const spec = { reason: "known", match: { policy: "mixed", resource: "/bin/known" } };
    for (const namespace of ["shop", "closed"]) await cluster.apply(renderAcceptance("known", spec, namespace));
  });

  const start = () =>
    bed.start({
      env: {
        PVO_OPEN_REPORTS_MIN_INTERVAL_MS: "500ms",
        PVO_REPORTS_MIN_INTERVAL_MS: "200ms",
        PVO_ACCEPTANCES_DENIED_NAMESPACES: '["closed"]',
      },
    });

  /** Waits until every report has a copy that says what it says; gives the ids of all results. */
  async function awaitCopies(isDone: (copies: OpenReport[]) => boolean = () => true): Promise<string[]> {
    let problems: string[] = [];
    const done = await eventually(
      "copies that say what their reports say",
      async () => {
        const [reports, copies] = [await listReports(cluster), await listOpenReports(cluster)];
        const byOwner = new Map(
          copies.map((copy) => [copy.metadata.ownerReferences[0]?.name + (copy.metadata.namespace ?? ""), copy]),
        );
        problems = reports.flatMap((report) => {
          const copy = byOwner.get(report.metadata.name + (report.metadata.namespace ?? ""));
          return copy ? compare(report, copy) : [`no copy of ${report.metadata.name}`];
        });
        return problems.length === 0 && reports.length === copies.length && isDone(copies) && copies;
      },
      60_000,
    ).catch((error) => {
      throw new Error(`${error.message}: ${problems.join(", ")}`);
    });
    return done.flatMap(({ results }) => results.map(({ properties }) => properties["resultID"] ?? "none")).sort();
  }

  let ids: string[] = [];

  test("say what their reports say, with ids that are unique", async () => {
    const running = await start();
    bed.node.push(sendAll());
    await running.waitForReported(sendAll().length);
    ids = await awaitCopies((copies) => copies.some(({ summary }) => summary.skip === 1));
    expect(new Set(ids).size).toBe(ids.length);
    const copies = await listOpenReports(cluster);
    expect(copies).toHaveLength(12);
    const denied = copies.find(({ metadata }) => metadata.namespace === "closed");
    expect(denied?.summary).toMatchObject({ fail: 1, skip: 0 });
    const wide = copies.find(({ metadata }) => metadata.name === "kubearmor-wide");
    expect([wide?.results.length, countOmitted(wide as OpenReport).violations]).toEqual([100, 206]);
    expect(copies.filter(({ metadata }) => metadata.name.length > 253)).toEqual([]);
  });

  test("are listed as far as a user's limits say", async () => {
    const patch = '{"configuration":{"limits":{"maxResults":1000}}}';
    const place = ["reports.openreports.io", "-n", "shop", "kubearmor-wide"];
    await cluster.kubectl(["patch", ...place, "--type=merge", "-p", patch]);
    const all = await awaitCopies((copies) => copies.some(({ results }) => results.length > 100));
    const wide = (await listOpenReports(cluster)).find(({ metadata }) => metadata.name === "kubearmor-wide");
    // The report itself lists 300 and counts 5; one result stands for these.
    expect([wide?.results.length, wide && countOmitted(wide)]).toEqual([301, { violations: 5, occurrences: 5 }]);
    expect(ids.filter((id) => !all.includes(id))).toEqual([]);
    ids = all;
  });

  test("keep their ids over a restart and over a report that is made again", async () => {
    expect(await bed.operator.stop()).toBe(0);
    const running = await start();
    expect(await awaitCopies()).toEqual(ids);
    await cluster.kubectl(["delete", "pvr", "-n", "shop", "mixed"]);
    await cluster.kubectl(["wait", "--for=delete", "-n", "shop", "reports.openreports.io/kubearmor-mixed"]);
    const again = ["/bin/known", "/bin/new"].map((path) =>
      createStartAlert(path, { PolicyName: "mixed", Result: "Passed" }),
    );
    bed.node.push(again);
    await running.waitForReported(again.length);
    expect(await awaitCopies((copies) => copies.some(({ summary }) => summary.skip === 1))).toEqual(ids);
    expect(await running.stop()).toBe(0);
  });
});
