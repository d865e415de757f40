// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The publisher of OpenReports on a real API server with the real CRDs, which check every write strictly.

import { isDeepStrictEqual } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OpenReport } from "../../src/api/openreports.ts";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { openReportName, toOpenReport } from "../../src/report/openreport.ts";
import type { OpenReportPublisherOptions } from "../../src/sinks/openreports/copy-controller.ts";
import { OpenReportPublisher } from "../../src/sinks/openreports/openreport-publisher.ts";
import { eventually } from "../support/eventually.ts";
import { createKubeClient, useKubeClient } from "../support/kube-clients.ts";
import { installOpenReports, listOpenReports, toCopied, toExpectedCopy } from "../support/openreports/openreports.ts";
import { OPTIONS } from "../support/openreports/options.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";
import { createFullClusterReport, createFullReport } from "../unit/api/full-report.ts";

/** Log fields of a problem with each of the two kinds. */
const BOTH_ANSWERED = [
  ["clusterreports", "string"],
  ["reports", "string"],
];
const OURS = { "app.kubernetes.io/managed-by": "policy-violation-operator" };

/** A report of ours with `count` violations, half of them allowed. */
function createReport(namespace: string, name: string, count: number): Report {
  const report = createFullReport(namespace);
  const { accepted: _, ...first } = report.violations[0] as Violation;
  delete report.omitted;
  return {
    ...report,
    metadata: { name, namespace, labels: OURS },
    violations: Array.from({ length: count }, (_, i) => ({
      ...first,
      id: i.toString(16).padStart(16, "0"),
      outcome: i % 2 ? "Prevented" : "Allowed",
    })),
  };
}

describeReal("OpenReports", () => {
  const cluster = useCluster({ crds: true });
  const client = useKubeClient(cluster);
  let namespace: string;
  let namespaces = 0;
  const ends: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    namespaces += 1;
    namespace = `shop-${namespaces}`;
    await cluster.kubectl(["create", "namespace", namespace]);
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await cluster.kubectl(["delete", "pvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "cpvr", "--all"]);
  });
  /** A publisher that runs until it is ended or the test is over. */
  function publish(options: Partial<OpenReportPublisherOptions> = {}) {
    const lines: Record<string, unknown>[] = [];
    const log = (fields: object) => void lines.push({ ...fields });
    const publisher = new OpenReportPublisher({
      client,
      clock: systemClock,
      logger: { ...silentLogger, info: log, warn: log, error: log },
      mapping: {
        copyName: openReportName,
        map: (report, limits, mostThatFit) => toOpenReport(report, { ...OPTIONS, mostThatFit }, limits),
      },
      isRequired: false,
      minIntervalMs: 300,
      maxReports: 100,
      isLeader: () => true,
      absentRetryMs: 200,
      ...options,
    });
    const stop = new AbortController();
    const running = publisher.run(stop.signal);
    const end = async () => {
      stop.abort();
      await running;
    };
    ends.push(end);
    return { publisher, lines, end };
  }

  async function store(object: Report | OpenReport): Promise<void> {
    const { name, namespace: at } = object.metadata;
    const plural = object.kind === "Report" ? "reports" : `${object.kind.toLowerCase()}s`;
    const place = at === undefined ? plural : `namespaces/${at}/${plural}`;
    await client.request({
      method: "PATCH",
      path: `/apis/${object.apiVersion}/${place}/${name}`,
      query: { fieldManager: "test", force: true },
      contentType: "application/apply-patch+yaml",
      body: object,
    });
  }

  /** Waits until the copies are those of the stored reports that the check takes, and says nothing is pending. */
  async function waitForCopies(publisher: OpenReportPublisher, check: (copies: OpenReport[]) => boolean) {
    return await eventually("copies", async () => {
      const copies = await listOpenReports(cluster);
      return publisher.stats().pending === 0 && check(copies) ? copies : undefined;
    });
  }

  test("CRDs that appear later are found, and the copies are those of the mapping", async () => {
    const clusterReport = createFullClusterReport();
    await store({ ...clusterReport, metadata: { ...clusterReport.metadata, labels: OURS } });
    await store(createReport(namespace, "p", 3));
    await store(createReport(namespace, "q", 100));
    const { publisher, lines } = publish();
    await eventually("a look for the CRDs", () => lines.length === 2);
    expect(lines.map(({ kind, answer }) => [kind, typeof answer]).sort()).toEqual(BOTH_ANSWERED);
    expect(publisher.stats()).toMatchObject({ isServed: false, pending: 0 });
    await installOpenReports(cluster);
    const copies = await waitForCopies(publisher, ({ length }) => length === 3);
    expect(publisher.stats()).toMatchObject({ isServed: true, results: { written: 3, refused: 0 } });
    const reports = await listReports(cluster);
    const stored = ({ metadata, ...rest }: OpenReport) => {
      const { name, namespace: at, labels, annotations, ownerReferences } = metadata;
      return { ...rest, metadata: { name, ...(at ? { namespace: at } : {}), labels, annotations, ownerReferences } };
    };
    expect(copies.map(stored)).toEqual(reports.map((report) => toOpenReport(report, OPTIONS, undefined)));
    const whole = reports.filter(({ kind }) => kind === "PolicyViolationReport");
    expect(copies.map(toCopied)).toEqual(expect.arrayContaining(whole.map(toExpectedCopy)));
    const ids = copies.flatMap((copy) => toCopied(copy).resultIds);
    expect(new Set(ids).size).toBe(ids.length);
    expect(await cluster.kubectl(["get", "reports.openreports.io", "-n", namespace])).toMatch(
      /NAME +PASS +FAIL +WARN +ERROR +SKIP +AGE\nkubearmor-p +0 +2 +1 +0 +0 +\S+\nkubearmor-q +0 +50 +50 /,
    );
  });

  describe("with its CRDs", () => {
    beforeAll(async () => {
      await installOpenReports(cluster);
    });

    async function readCopy(name: string): Promise<OpenReport | undefined> {
      const all = await listOpenReports(cluster);
      return all.find(({ metadata }) => metadata.namespace === namespace && metadata.name === `kubearmor-${name}`);
    }

    test("changes wait for the pause, and one write brings them all", async () => {
      await store(createReport(namespace, "p", 1));
      const slow = publish({ minIntervalMs: 3_600_000 });
      await waitForCopies(slow.publisher, ({ length }) => length === 1);
      for (let count = 2; count <= 6; count++) await store(createReport(namespace, "p", count));
      await eventually("a change that waits", () => slow.publisher.stats().pending === 1);
      expect(slow.publisher.stats().results.written).toBe(1);
      await slow.end();
      const { publisher } = publish();
      const [copy] = await waitForCopies(publisher, ([first]) => first?.results.length === 6);
      expect(copy?.summary).toMatchObject({ fail: 3, warn: 3 });
      expect(publisher.stats().results.written).toBe(1);
    });

    test("limits that a user sets are kept and followed, at once and after later changes", async () => {
      await store(createReport(namespace, "p", 150));
      const { publisher } = publish();
      const [first] = await waitForCopies(publisher, ({ length }) => length === 1);
      expect(first?.results).toHaveLength(100);
      const limit = async (limits: object) => {
        const patch = JSON.stringify({ configuration: { limits } });
        const place = ["reports.openreports.io", "-n", namespace, "kubearmor-p"];
        await cluster.kubectl(["patch", ...place, "--type=merge", "-p", patch]);
      };
      await limit({ maxResults: 5, statusFilter: ["fail"] });
      const [limited] = await waitForCopies(publisher, ([copy]) => copy?.results.length === 5);
      expect(limited?.summary).toEqual({ pass: 0, fail: 5, warn: 0, error: 0, skip: 0 });
      await store(createReport(namespace, "p", 160));
      const isChanged = ([copy]: OpenReport[]) => copy?.results[4]?.properties["violations"] === "76";
      const [later] = await waitForCopies(publisher, isChanged);
      expect(later?.configuration).toEqual({ limits: { maxResults: 5, statusFilter: ["fail"] } });
      await limit({ maxResults: 300, statusFilter: null });
      await waitForCopies(publisher, ([copy]) => copy?.results.length === 160);
    });

    test("a deleted copy comes back, labels and annotations of others stay", async () => {
      await store(createReport(namespace, "p", 1));
      const { publisher } = publish();
      await waitForCopies(publisher, ({ length }) => length === 1);
      const place = ["reps", "-n", namespace, "kubearmor-p"];
      await cluster.kubectl(["delete", ...place]);
      await eventually("the copy", async () => await readCopy("p"));
      await cluster.kubectl(["label", ...place, "team=web"]);
      await store(createReport(namespace, "p", 2));
      const [copy] = await waitForCopies(publisher, ([first]) => first?.results.length === 2);
      expect(copy?.metadata.labels).toEqual({ ...OURS, team: "web" });
    });

    test.each([
      ["with a scope", ["patch", "--type=merge", "-p", '{"scope":{"kind":"Namespace","name":"x"}}']],
      ["without the label", ["label", "app.kubernetes.io/managed-by-"]],
    ])("a copy that was edited, %s, is written again", async (_, [verb = "", ...change]) => {
      await store(createReport(namespace, "p", 1));
      const { publisher } = publish();
      const [before] = await waitForCopies(publisher, ({ length }) => length === 1);
      await cluster.kubectl([verb, "reps", "-n", namespace, "kubearmor-p", ...change]);
      const content = (copy?: OpenReport) => {
        const { uid, labels } = copy?.metadata ?? {};
        return { ...copy, metadata: { uid, labels } };
      };
      await eventually(
        "the copy as it was",
        async () =>
          isDeepStrictEqual(content(await readCopy("p")), content(before)) && publisher.stats().results.written === 2,
      );
    });

    test("a deleted report takes its copy with it, and one of the same name gets a new copy", async () => {
      await store(createReport(namespace, "p", 1));
      await store(createReport(namespace, "q", 1));
      const { publisher } = publish();
      await waitForCopies(publisher, ({ length }) => length === 2);
      await cluster.kubectl(["delete", "pvr", "-n", namespace, "p"]);
      await eventually("the end of the copy", async () => (await readCopy("p")) === undefined);
      expect(await readCopy("q")).toBeDefined();
      await cluster.kubectl(["delete", "pvr", "-n", namespace, "q"]);
      await store(createReport(namespace, "q", 2));
      const { metadata } = (await listReports(cluster))[0] as Report;
      await eventually(
        "a copy of the new report",
        async () => (await readCopy("q"))?.metadata.ownerReferences[0]?.uid === metadata.uid,
      );
    });

    test("a restart writes nothing, and what changed meanwhile is made up for", async () => {
      await store(createReport(namespace, "p", 2));
      await store(createReport(namespace, "q", 2));
      const first = publish();
      const before = await waitForCopies(first.publisher, ({ length }) => length === 2);
      await first.end();
      await store(createReport(namespace, "q", 3));
      const second = publish();
      await eventually("a look at both", () => {
        const { results } = second.publisher.stats();
        return results.unchanged + results.written === 2;
      });
      expect(second.publisher.stats().results).toMatchObject({ unchanged: 1, written: 1 });
      const after = await waitForCopies(second.publisher, ({ length }) => length === 2);
      expect(after[0]).toEqual(before[0]);
      expect(after.map(toCopied)).toEqual((await listReports(cluster)).map(toExpectedCopy));
    });

    test("an object of another program is left alone until it is gone", async () => {
      const foreign = { source: "else", results: [], summary: {} };
      const metadata = { name: "kubearmor-p", namespace };
      await store({
        apiVersion: "openreports.io/v1alpha1",
        kind: "Report",
        metadata,
        ...foreign,
      } as unknown as OpenReport);
      await store(createReport(namespace, "p", 1));
      const { publisher, lines } = publish();
      await eventually("a refusal", () => publisher.stats().results.refused === 1);
      expect(lines).toContainEqual({ namespace, report: "p", answer: expect.any(String) });
      expect((await readCopy("p"))?.source).toBe("else");
      await cluster.kubectl(["delete", "reps", "-n", namespace, "kubearmor-p"]);
    });

    test("without the right nothing is written, and it is logged once for each kind", async () => {
      const token = await cluster.createServiceAccountToken(namespace, "nobody");
      const poor = createKubeClient(cluster.kubeconfigFor(token));
      ends.push(() => poor.close());
      const { publisher, lines } = publish({ client: poor });
      const requests = poor.stats().requests;
      await eventually("tries", () => poor.stats().requests > requests + 6);
      expect(lines.map(({ kind, answer }) => [kind, typeof answer]).sort()).toEqual(BOTH_ANSWERED);
      expect(publisher.stats()).toMatchObject({ isServed: false, results: { written: 0 } });
    });

    test("a replica that lost the lead writes nothing", async () => {
      await store(createReport(namespace, "p", 1));
      let isLeader = false;
      const { publisher } = publish({ isLeader: () => isLeader });
      await eventually("an attempt", () => publisher.stats().isServed && publisher.stats().pending === 0);
      expect(await listOpenReports(cluster)).toEqual([]);
      isLeader = true;
      await store(createReport(namespace, "p", 2));
      await waitForCopies(publisher, ({ length }) => length === 1);
    });

    test("CRDs that vanish end the copies, and CRDs that come back bring the same ones", async () => {
      await store(createReport(namespace, "p", 2));
      const { publisher } = publish();
      const [before] = await waitForCopies(publisher, ({ length }) => length === 1);
      await cluster.kubectl(["delete", "crd", "reports.openreports.io", "clusterreports.openreports.io"]);
      await eventually("no API", () => !publisher.stats().isServed);
      await store(createReport(namespace, "p", 3));
      await installOpenReports(cluster);
      await eventually("the API again", () => publisher.stats().isServed);
      const copy = await eventually("the copy", async () => {
        const found = await readCopy("p");
        return found?.results.length === 3 ? found : undefined;
      });
      const ids = (of: OpenReport) => toCopied(of).resultIds;
      expect(ids(copy).slice(0, 2)).toEqual(ids(before as OpenReport));
    });

    test("reports beyond the bound have no copy and are counted", async () => {
      for (const name of ["p", "q", "r"]) await store(createReport(namespace, name, 1));
      const { publisher } = publish({ maxReports: 2 });
      await waitForCopies(publisher, ({ length }) => length === 2);
      expect(publisher.stats().leftOut).toBe(1);
    });
  });
});
