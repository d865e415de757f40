// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The sink's results for every error of the client, and of lists that a healthy server seldom gives. The rest is tested
// on a real API server, in test/integration.

import { describe, expect, test } from "vitest";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { ApiError, type ApiErrorCode } from "../../../src/kube/api-error.ts";
import type { ApiRequester, KubeRequest } from "../../../src/kube/client.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { createClusterSink } from "../../../src/sinks/cluster-sink.ts";
import { type ReadResult, SinkError, type WriteResult } from "../../../src/sinks/report-sink.ts";
import { SIGNAL } from "../../support/signal.ts";

const NAMESPACED = "/apis/reports.kubearmor.com/v1alpha1/policyviolationreports";
const CLUSTER = "/apis/reports.kubearmor.com/v1alpha1/clusterpolicyviolationreports";

/** Answers with what `answer` returns or throws. */
function createRequester(answer: (request: KubeRequest) => unknown): ApiRequester {
  return { request: async <T>(request: KubeRequest) => answer(request) as T };
}

function createSink(answer: (request: KubeRequest) => unknown, pageSize = 500) {
  return createClusterSink({ client: createRequester(answer), logger: silentLogger, pageSize });
}

function createFailingSink(code: ApiErrorCode, retryAfterMs?: number) {
  return createSink(() => {
    throw new ApiError(code, "m", { retryAfterMs });
  });
}

function createStored(name: string, namespace?: string): object {
  return {
    metadata: { name, ...(namespace ? { namespace } : {}), resourceVersion: "7", managedFields: [{}] },
    policy: { name: "p", kind: "Unknown" },
    summary: {},
    violations: [],
    coverage: {},
  };
}

function report(resourceVersion?: string): Report {
  const metadata = { name: "p", namespace: "shop", ...(resourceVersion ? { resourceVersion } : {}) };
  return { ...createStored("p", "shop"), metadata } as unknown as Report;
}

const WRITES: [code: ApiErrorCode, created: WriteResult["kind"], replaced: WriteResult["kind"]][] = [
  ["NotFound", "retry", "gone"],
  ["NamespaceGone", "namespace_gone", "namespace_gone"],
  ["Conflict", "conflict", "conflict"],
  ["AlreadyExists", "conflict", "conflict"],
  ["Forbidden", "refused", "refused"],
  ["Unauthorized", "refused", "refused"],
  ["NotServed", "refused", "refused"],
  ["Invalid", "refused", "refused"],
  ["Throttled", "retry", "retry"],
  ["TooLarge", "too_large", "too_large"],
  ["Expired", "retry", "retry"],
  ["Unavailable", "retry", "retry"],
  ["NotAnswered", "unknown", "unknown"],
  ["Unknown", "retry", "retry"],
];

test.each(WRITES)(
  "a write that ends as %s is %s when it creates and %s when it replaces",
  async (code, created, replaced) => {
    expect((await createFailingSink(code).write(report(), SIGNAL)).kind).toBe(created);
    expect((await createFailingSink(code).write(report("7"), SIGNAL)).kind).toBe(replaced);
  },
);

test("absent namespaces are those that no page of the list has", async () => {
  const sink = createSink(({ path, accept, query }) => {
    expect([path, accept?.includes("PartialObjectMetadataList")]).toEqual(["/api/v1/namespaces", true]);
    if (query?.["continue"]) return { items: [{ metadata: { name: "bank" } }] };
    return { items: [{ metadata: { name: "shop" } }, {}], metadata: { continue: "more" } };
  });
  expect(await sink.findAbsentNamespaces?.(new Set(["bank", "ghost", "shop"]), SIGNAL)).toEqual(new Set(["ghost"]));
});

test("absent namespaces are unknown where the list is refused", async () => {
  const found = createFailingSink("Forbidden").findAbsentNamespaces?.(new Set(["shop"]), SIGNAL);
  await expect(found).rejects.toThrow(SinkError);
});

test("a write sets the cluster's label, and removes it where no name is configured any more", async () => {
  const sent = async (clusterName: string, labels?: Record<string, string>) => {
    let text = "";
    const client = createRequester((request) => {
      text = request.text ?? "";
      return createStored("p", "shop");
    });
    const sink = createClusterSink({ client, logger: silentLogger, clusterName });
    const plain = report();
    await sink.write({ ...plain, metadata: { ...plain.metadata, ...(labels ? { labels } : {}) } }, SIGNAL);
    return (JSON.parse(text) as Report).metadata.labels;
  };
  expect(await sent("east", { team: "web" })).toEqual({ team: "web", "reports.kubearmor.com/cluster": "east" });
  expect(await sent("west", { "reports.kubearmor.com/cluster": "east" })).toEqual({
    "reports.kubearmor.com/cluster": "west",
  });
  expect(await sent("", { team: "web", "reports.kubearmor.com/cluster": "east" })).toEqual({ team: "web" });
  expect(await sent("")).toBeUndefined();
});

const READS: [code: ApiErrorCode, kind: ReadResult["kind"]][] = [
  ["NotFound", "absent"],
  ["NamespaceGone", "absent"],
  ["Conflict", "retry"],
  ["AlreadyExists", "retry"],
  ["Forbidden", "refused"],
  ["Unauthorized", "refused"],
  ["NotServed", "refused"],
  ["Invalid", "refused"],
  ["Throttled", "retry"],
  ["TooLarge", "retry"],
  ["Expired", "retry"],
  ["Unavailable", "retry"],
  ["NotAnswered", "retry"],
  ["Unknown", "retry"],
];

test.each(READS)("a read that ends as %s is %s", async (code, kind) => {
  expect((await createFailingSink(code).read({ name: "p" }, SIGNAL)).kind).toBe(kind);
});

test("what can be waited for says for how long, what can't says what to do", async () => {
  expect(await createFailingSink("Throttled", 1500).write(report(), SIGNAL)).toEqual({
    kind: "retry",
    message: "m",
    retryAfterMs: 1500,
  });
  expect(await createFailingSink("Unavailable").read({ name: "p" }, SIGNAL)).toEqual({ kind: "retry", message: "m" });
  expect(await createFailingSink("NotServed").write(report(), SIGNAL)).toEqual({
    kind: "refused",
    message: "m; install the CRDs: kubectl apply -f crds/",
  });
});

describe("a stored report", () => {
  test("is given without managedFields, and with its kind", async () => {
    const result = await createSink(() => createStored("p")).read({ name: "p" }, SIGNAL);
    expect(result).toMatchObject({
      kind: "found",
      report: {
        apiVersion: "reports.kubearmor.com/v1alpha1",
        kind: "ClusterPolicyViolationReport",
        metadata: { name: "p", resourceVersion: "7" },
      },
    });
    expect(JSON.stringify(result)).not.toContain("managedFields");
  });

  test("of another form is refused when it is read, and left out of the list with a warning", async () => {
    const broken = { metadata: { name: "odd" }, summary: {} };
    expect(await createSink(() => broken).read({ name: "odd" }, SIGNAL)).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("is malformed"),
    });
    const warnings: object[] = [];
    const sink = createClusterSink({
      client: createRequester(({ path }) => ({
        items: path === NAMESPACED ? [broken, createStored("p", "shop")] : [],
      })),
      logger: { ...silentLogger, warn: (fields) => warnings.push(fields) },
    });
    expect(await collectNames(sink.list(SIGNAL))).toEqual(["shop/p"]);
    const advice = "delete it to have it recreated";
    expect(warnings).toEqual([{ kind: "PolicyViolationReport", name: "odd", advice }]);
  });

  test("that comes back from a write in another form leaves open what is stored", async () => {
    expect(await createSink(() => ({})).write(report(), SIGNAL)).toMatchObject({ kind: "unknown" });
  });
});

function collectNames(reports: AsyncIterable<Report>): Promise<string[]> {
  return Array.fromAsync(reports, ({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
}

describe("the list", () => {
  test("goes on page by page, and asks for ours only", async () => {
    const asked: unknown[] = [];
    const sink = createSink(({ path, query }) => {
      asked.push([path, query]);
      if (path === CLUSTER) return { items: [createStored("c")], metadata: {} };
      return query?.["continue"] === undefined
        ? { items: [createStored("a", "n"), createStored("b", "n")], metadata: { continue: "t1" } }
        : { items: [createStored("c", "n")], metadata: { continue: "" } };
    }, 2);
    expect(await collectNames(sink.list(SIGNAL))).toEqual(["n/a", "n/b", "n/c", "/c"]);
    const labelSelector = "app.kubernetes.io/managed-by=policy-violation-operator";
    expect(asked).toEqual([
      [NAMESPACED, { labelSelector, limit: 2, continue: undefined }],
      [NAMESPACED, { labelSelector, limit: 2, continue: "t1" }],
      [CLUSTER, { labelSelector, limit: 2, continue: undefined }],
    ]);
  });

  test("halves a page that is larger than the client accepts, down to one", async () => {
    const limits: unknown[] = [];
    const sink = createSink(({ path, query }) => {
      if (path === CLUSTER) return { items: [] };
      limits.push(query?.["limit"]);
      if (Number(query?.["limit"]) > 1) throw new ApiError("TooLarge", "m");
      return { items: [createStored("a", "n")] };
    }, 5);
    expect(await collectNames(sink.list(SIGNAL))).toEqual(["n/a"]);
    expect(limits).toEqual([5, 3, 2, 1]);
  });

  test("starts again when its paging token is too old, and gives no report twice", async () => {
    let expired = 0;
    const sink = createSink(({ path, query }) => {
      if (path === CLUSTER) return { items: [] };
      if (query?.["continue"] === undefined) return { items: [createStored("a", "n")], metadata: { continue: "t" } };
      expired += 1;
      if (expired === 1) throw new ApiError("Expired", "m");
      return { items: [createStored("b", "n")] };
    });
    expect(await collectNames(sink.list(SIGNAL))).toEqual(["n/a", "n/b"]);
  });

  test("gives up when that happens again and again", async () => {
    const sink = createSink(({ query }) => {
      if (query?.["continue"] === undefined) return { items: [], metadata: { continue: "t" } };
      throw new ApiError("Expired", "too old");
    });
    await expect(collectNames(sink.list(SIGNAL))).rejects.toMatchObject({ name: "SinkError", message: "too old" });
  });

  test.each([
    ["NotServed", "m; install the CRDs: kubectl apply -f crds/"],
    ["Forbidden", "m"],
    ["Unavailable", "m"],
    ["NotAnswered", "m"],
  ] as const)("that ends as %s throws a SinkError: %s", async (code, message) => {
    const error = await collectNames(createFailingSink(code, 2000).list(SIGNAL)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SinkError);
    expect(error).toMatchObject({ message, retryAfterMs: 2000 });
  });
});
