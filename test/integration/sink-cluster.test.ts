// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The cluster sink on a real API server with the real CRDs: every outcome of the port, provoked.

import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import type { KubeRequest } from "../../src/kube/client.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { createClusterSink } from "../../src/sinks/cluster-sink.ts";
import { type ReportSink, SinkError } from "../../src/sinks/report-sink.ts";
import { writeKubeconfig } from "../../tools/cluster/cluster-access.ts";
import { ADMIN_TOKEN } from "../../tools/cluster/cluster-files.ts";
import { ApiFaultProxy } from "../support/api-fault-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { createKubeClient, useKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { SIGNAL } from "../support/signal.ts";
import { beginDeletion } from "../support/terminating-namespace.ts";
import { createFullClusterReport, createFullReport } from "../unit/api/full-report.ts";

describeReal("the cluster sink on a real API server", () => {
  const cluster = useCluster();
  const client = useKubeClient(cluster);
  let sink: ReportSink;
  let namespace: string;
  let namespaces = 0;

  beforeAll(async () => {
    sink = createClusterSink({ client, logger: silentLogger });
  });

  beforeEach(async () => {
    namespaces += 1;
    namespace = `sink-${namespaces}`;
    await cluster.kubectl(["create", "namespace", namespace]);
  });

  function markOwned(report: Report, name = "p"): Report {
    const labels = { "app.kubernetes.io/managed-by": "policy-violation-operator" };
    return { ...report, metadata: { ...report.metadata, name, labels } };
  }

  function report(name = "p"): Report {
    return markOwned(createFullReport(namespace), name);
  }

  async function writeReport(input: Report): Promise<Report> {
    const result = await sink.write(input, SIGNAL);
    if (result.kind !== "written") throw new Error(`not written: ${JSON.stringify(result)}`);
    return result.report;
  }

  async function listNames(of: ReportSink = sink): Promise<string[]> {
    return await Array.fromAsync(of.list(SIGNAL), ({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
  }

  /** A report of about this size that the schema accepts: many violations with much evidence. */
  function reportOfSize(bytes: number): Report {
    const big = report();
    const [violation] = big.violations;
    const padding = "x".repeat(512);
    const paddings = {
      command: padding,
      cwd: padding,
      labels: padding,
      data: padding,
      source: padding,
      image: padding,
    };
    const evidence = { ...violation!.latest!, ...paddings };
    const one: Violation = { ...violation!, latest: evidence };
    const count = Math.ceil(bytes / JSON.stringify(one).length);
    expect(count).toBeLessThanOrEqual(1000);
    big.violations = Array.from({ length: count }, () => one);
    return big;
  }

  // First, for the CRDs are not there yet; the tests after this one need them.
  describe("an API server without the CRDs", () => {
    test("is refused, with what to do", async () => {
      const refusal = { kind: "refused", message: expect.stringContaining("does not serve this resource") };
      for (const result of [await sink.write(report(), SIGNAL), await sink.read({ namespace, name: "p" }, SIGNAL)]) {
        expect(result).toMatchObject(refusal);
        expect(JSON.stringify(result)).toContain("kubectl apply -f crds/");
      }
      const error = await listNames().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SinkError);
      expect(error).toMatchObject({ message: expect.stringContaining("kubectl apply -f crds/") });
    });

    test("is served a moment after they are applied", async () => {
      await cluster.applyCrds();
      const stored = await eventually("a report can be written", async () => {
        const result = await sink.write(report(), SIGNAL);
        return result.kind === "written" ? result.report : undefined;
      });
      expect(stored.metadata.resourceVersion).toMatch(/^\d+$/);
    });
  });

  describe("a removal", () => {
    test("takes exactly the version that it names, and nothing else", async () => {
      const first = await writeReport(report());
      const { uid, resourceVersion } = first.metadata;
      const second = await writeReport({ ...first, coverage: { ...first.coverage, gaps: 9 } });
      const ref = { namespace, name: "p" };
      expect(await sink.remove(ref, { uid, resourceVersion }, SIGNAL)).toEqual({ kind: "conflict" });
      const other = { uid: "6f1c0a9b-0000-4000-8000-000000000000", resourceVersion: second.metadata.resourceVersion };
      expect(await sink.remove(ref, other, SIGNAL)).toEqual({ kind: "conflict" });
      const now = { uid, resourceVersion: second.metadata.resourceVersion };
      expect(await sink.remove(ref, now, SIGNAL)).toEqual({ kind: "removed" });
      expect(await sink.read(ref, SIGNAL)).toEqual({ kind: "absent" });
      expect(await sink.remove(ref, now, SIGNAL)).toEqual({ kind: "absent" });
      expect(await sink.remove({ namespace: "nowhere", name: "p" }, now, SIGNAL)).toEqual({ kind: "absent" });
    });

    test("works on a cluster report", async () => {
      const { uid, resourceVersion } = (await writeReport(markOwned(createFullClusterReport(), "removed"))).metadata;
      expect(await sink.remove({ name: "removed" }, { uid, resourceVersion }, SIGNAL)).toEqual({ kind: "removed" });
    });
  });

  describe("a report", () => {
    test("is created, read back whole, replaced, and listed", async () => {
      const created = await writeReport(report());
      const { apiVersion, kind, metadata, ...body } = created;
      expect({ apiVersion, kind, ...body, metadata: undefined }).toEqual({ ...report(), metadata: undefined });
      expect(metadata).not.toHaveProperty("managedFields");
      expect(await sink.read({ namespace, name: "p" }, SIGNAL)).toEqual({ kind: "found", report: created });

      const changed = await writeReport({ ...created, summary: { ...created.summary, occurrences: 129 } });
      expect(changed.summary.occurrences).toBe(129);
      expect(changed.metadata.uid).toBe(created.metadata.uid);
      expect(await listNames()).toContain(`${namespace}/p`);
    });

    test("of the cluster likewise", async () => {
      const created = await writeReport(markOwned(createFullClusterReport(), `c-${namespace}`));
      expect(await sink.read({ name: `c-${namespace}` }, SIGNAL)).toEqual({ kind: "found", report: created });
      expect(await listNames()).toContain(`/c-${namespace}`);
    });

    test("that is not there is absent, in a namespace that is not there too", async () => {
      expect(await sink.read({ namespace, name: "q" }, SIGNAL)).toEqual({ kind: "absent" });
      expect(await sink.read({ namespace: "nowhere", name: "q" }, SIGNAL)).toEqual({ kind: "absent" });
    });

    test("keeps what other people put on it", async () => {
      await writeReport(report());
      await cluster.kubectl(["annotate", "pvr", "-n", namespace, "p", "team=blue"]);
      const read = await sink.read({ namespace, name: "p" }, SIGNAL);
      if (read.kind !== "found") throw new Error(read.kind);
      const again = await writeReport({ ...read.report, summary: { ...read.report.summary, occurrences: 200 } });
      expect(again.metadata.annotations).toMatchObject({ team: "blue" });
    });

    test("is written under one field manager, by a PUT with few managed fields", async () => {
      const stored = await writeReport(await writeReport(report()));
      const text = await cluster.kubectl(["get", "pvr", "-n", namespace, "p", "-o", "json", "--show-managed-fields"]);
      const { metadata } = JSON.parse(text) as { metadata: { managedFields: { manager: string }[] } };
      expect(metadata.managedFields.map(({ manager }) => manager)).toEqual(["policy-violation-operator"]);
      expect(stored.metadata.name).toBe("p");
    });
  });

  describe("the list", () => {
    test("goes through pages, and leaves alone what is not ours", async () => {
      const names = ["a", "b", "c", "d", "e"];
      for (const name of names) await writeReport(report(name));
      await writeReport({ ...report("foreign"), metadata: { name: "foreign", namespace } });
      const paged = createClusterSink({ client, logger: silentLogger, pageSize: 2 });
      const here = (await listNames(paged)).filter((name) => name.startsWith(`${namespace}/`));
      expect(here).toEqual(names.map((name) => `${namespace}/${name}`));
    });
  });

  describe("a write that meets another one", () => {
    test("a create of what exists, and a replace of what was changed, are conflicts that change nothing", async () => {
      const first = await writeReport(report());
      expect(await sink.write(report(), SIGNAL)).toEqual({ kind: "conflict" });
      const second = await writeReport({ ...first, summary: { ...first.summary, occurrences: 1000 } });
      expect(await sink.write(first, SIGNAL)).toEqual({ kind: "conflict" });
      expect(await sink.read({ namespace, name: "p" }, SIGNAL)).toEqual({ kind: "found", report: second });
    });

    test("a replace of what was deleted is gone", async () => {
      const stored = await writeReport(report());
      await cluster.kubectl(["delete", "pvr", "-n", namespace, "p"]);
      expect(await sink.write(stored, SIGNAL)).toEqual({ kind: "gone" });
    });

    test("a replace of what was deleted and made again is a conflict", async () => {
      const stored = await writeReport(report());
      await cluster.kubectl(["delete", "pvr", "-n", namespace, "p"]);
      await writeReport(report());
      expect(await sink.write(stored, SIGNAL)).toEqual({ kind: "conflict" });
    });
  });

  describe("a namespace", () => {
    test("that is not there is namespace_gone", async () => {
      expect(await sink.write(markOwned(createFullReport("nowhere")), SIGNAL)).toEqual({ kind: "namespace_gone" });
    });

    test("that is not there is absent from the list, one that is there is not", async () => {
      const asked = new Set(["nowhere", namespace, "default"]);
      expect(await sink.findAbsentNamespaces?.(asked, SIGNAL)).toEqual(new Set(["nowhere"]));
    });

    test("that is being deleted is namespace_gone for a create, and gone for a replace of what went with it", async () => {
      const stored = await writeReport(report("with-it"));
      const release = await beginDeletion(cluster, namespace);
      const created = await eventually("the namespace is terminating", async () => {
        const result = await sink.write(report(`n-${Date.now()}`), SIGNAL);
        return result.kind === "written" ? undefined : result;
      });
      expect(created).toEqual({ kind: "namespace_gone" });
      const replaced = await eventually("its reports are deleted", async () => {
        const result = await sink.write(stored, SIGNAL);
        return result.kind === "written" || result.kind === "conflict" ? undefined : result;
      });
      expect(replaced).toEqual({ kind: "gone" });
      await release();
      await cluster.kubectl(["wait", "--for=delete", `namespace/${namespace}`, "--timeout=60s"]);
      expect(await sink.write(stored, SIGNAL)).toMatchObject({ kind: expect.stringMatching(/^(namespace_)?gone$/) });
    });
  });

  describe("an object that is too large", () => {
    test.each([
      [1.6, "etcdserver: request is too large"],
      [2.5, "trying to send message larger than max"],
      [3.2, "limit is 3145728"],
    ])("of %s MiB is too_large, created or replaced", async (mebibytes, said) => {
      const bytes = mebibytes * 1024 * 1024;
      const created = await sink.write(reportOfSize(bytes), SIGNAL);
      expect(created.kind).toBe("too_large");
      expect(JSON.stringify(created)).toContain(said);

      const small = await writeReport(report());
      const replaced = await sink.write({ ...reportOfSize(bytes), metadata: small.metadata }, SIGNAL);
      expect(replaced.kind).toBe("too_large");
      expect(await sink.read({ namespace, name: "p" }, SIGNAL)).toEqual({ kind: "found", report: small });
    });

    test("of 1.3 MiB is written", async () => {
      await writeReport(reportOfSize(1.3 * 1024 * 1024));
    });
  });

  describe("what the API server refuses", () => {
    test("a field that the schema does not know is invalid, and nothing is stored without it", async () => {
      const odd = { ...report(), sumary: {} } as Report;
      const result = await sink.write(odd, SIGNAL);
      expect(result).toMatchObject({ kind: "refused", message: expect.stringContaining("(400 BadRequest)") });
      expect(JSON.stringify(result)).toContain('unknown field \\"sumary\\"');
      expect(await sink.read({ namespace, name: "p" }, SIGNAL)).toEqual({ kind: "absent" });
    });

    test("a ServiceAccount without rights is forbidden, with the right in the message", async () => {
      const token = await cluster.createServiceAccountToken(namespace, "nobody");
      const poor = createKubeClient(cluster.kubeconfigFor(token));
      const poorSink = createClusterSink({ client: poor, logger: silentLogger });
      const result = await poorSink.write(report(), SIGNAL);
      expect(result).toMatchObject({ kind: "refused", message: expect.stringContaining("(403 Forbidden)") });
      expect(JSON.stringify(result)).toContain('cannot create resource \\"policyviolationreports\\"');
      expect(await poorSink.read({ namespace, name: "p" }, SIGNAL)).toMatchObject({
        kind: "refused",
        message: expect.stringContaining("(403 Forbidden)"),
      });
      await expect(listNames(poorSink)).rejects.toMatchObject({
        name: "SinkError",
        message: expect.stringContaining("(403 Forbidden)"),
      });
      await poor.close();
    });

    test("an invalid token is unauthorized", async () => {
      const stranger = createKubeClient(cluster.kubeconfigFor("stranger"));
      const result = await createClusterSink({ client: stranger, logger: silentLogger }).write(report(), SIGNAL);
      expect(result).toMatchObject({ kind: "refused", message: expect.stringContaining("(401 Unauthorized)") });
      await stranger.close();
    });
  });

  test("a write without an answer is unknown, and a read shows that it happened", async () => {
    const proxy = new ApiFaultProxy(cluster, namespace, { fault: "reset_after", at: 1 });
    await proxy.start();
    const cut = createKubeClient(
      writeKubeconfig(join(cluster.dir, "cut-kubeconfig"), proxy.url, Buffer.from(""), ADMIN_TOKEN),
    );
    const result = await createClusterSink({ client: cut, logger: silentLogger }).write(report(), SIGNAL);
    expect(result.kind).toBe("unknown");
    expect(await sink.read({ namespace, name: "p" }, SIGNAL)).toMatchObject({
      kind: "found",
      report: { summary: { occurrences: 128 } },
    });
    await cut.close();
    await proxy.stop();
  });

  test("the answers to a create and a replace are metadata alone, and the sink adds them to what was sent", async () => {
    const answers: unknown[] = [];
    const request = async <T>(asked: KubeRequest) => {
      const answer = await client.request<T>(asked);
      answers.push(answer);
      return answer;
    };
    const noting = createClusterSink({ client: { request }, logger: silentLogger });
    const created = await noting.write(report(), SIGNAL);
    if (created.kind !== "written") throw new Error(`not written: ${JSON.stringify(created)}`);
    const coverage = { ...created.report.coverage, gaps: 9 };
    const replaced = await noting.write({ ...created.report, coverage }, SIGNAL);
    expect(answers).toHaveLength(2);
    for (const answer of answers) {
      expect(answer).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "p" } });
      expect(answer).not.toHaveProperty("violations");
    }
    expect(await noting.read({ namespace, name: "p" }, SIGNAL)).toEqual({ ...replaced, kind: "found" });
  });
});
