// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The policies of a real API server, followed by their metadata: with and without the CRDs, with and without the right.

import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { PolicyWatch, type PolicyWatchOptions } from "../../src/policies/policy-watch.ts";
import { eventually } from "../support/eventually.ts";
import { createKubeClient, useKubeClient } from "../support/kube-clients.ts";
import { installPolicyCrds, policy } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

describeReal("policies", () => {
  const cluster = useCluster({ controllerManager: false });
  const client = useKubeClient(cluster);
  const ends: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    await cluster.kubectl(["create", "namespace", "shop"]);
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });

  /** A watch that runs until the end of the tests, and the names that it reported as changed. */
  function watch(options: Partial<PolicyWatchOptions> = {}) {
    const changes: (string[] | undefined)[] = [];
    const logged: object[] = [];
    const log = (fields: object) => void logged.push(fields);
    const policies = new PolicyWatch({
      client,
      clock: systemClock,
      logger: { ...silentLogger, info: log, warn: log },
      onChange: (names) => changes.push(names && [...names]),
      absentRetryMs: 200,
      ...options,
    });
    const stop = new AbortController();
    const running = policies.run(stop.signal);
    ends.push(async () => {
      stop.abort();
      await running;
    });
    return { policies, changes, logged };
  }

  it("are looked for again where the cluster has none, and it is said once", async () => {
    const { policies, logged } = watch();
    await policies.ready();
    expect(policies.knowledge("KubeArmorPolicy")).toBe("unserved");
    expect(policies.find("KubeArmorPolicy", "shop", "x")).toBeUndefined();
    const requests = client.stats().requests;
    await eventually("tries", () => client.stats().requests > requests + 12);
    expect(logged).toHaveLength(4);
    expect(new Set(logged.map((fields) => JSON.stringify(fields)))).toHaveProperty("size", 4);
    await installPolicyCrds(cluster);
    await eventually("policies", () => policies.knowledge("KubeArmorHostPolicy") === "known");
  });

  it("are reported as listed, changed and deleted, by metadata alone", async () => {
    await cluster.apply(policy("KubeArmorPolicy", "listed", { namespace: "shop" }));
    const { policies, changes } = watch({ pageSize: 1 });
    const generation = () => policies.find("KubeArmorPolicy", "shop", "listed")?.generation;
    await eventually("the listed one", () => generation());
    expect(generation()).toBe(1);
    const before = policies.find("KubeArmorPolicy", "shop", "listed");
    expect(before).toMatchObject({ kind: "KubeArmorPolicy", namespace: "shop", uid: expect.any(String) });
    expect(before?.changedAt).toMatch(/^20\d\d-.*\.000000Z$/);
    await eventually("a watch", () => policies.knowledge("KubeArmorClusterPolicy") === "known");
    changes.length = 0;
    await cluster.apply(policy("KubeArmorPolicy", "listed", { namespace: "shop" }, "second"));
    await eventually("the change", () => generation() === 2);
    const labels = { "kustomize.toolkit.fluxcd.io/name": "policies" };
    await cluster.apply(policy("KubeArmorClusterPolicy", "wide", { labels }));
    const wide = await eventually("the new one", () => policies.find("KubeArmorClusterPolicy", undefined, "wide"));
    expect(wide.source).toEqual({ tool: "Flux", kind: "Kustomization", name: "policies" });
    await cluster.kubectl(["delete", "ksp", "-n", "shop", "listed"]);
    await eventually("the end", () => generation() === undefined);
    expect(changes).toEqual([["listed"], ["wide"], ["listed"]]);
    const asked = cluster.auditEntries().filter(({ requestURI }) => requestURI.includes("security.kubearmor.com"));
    expect(asked.some(({ verb, requestURI }) => verb === "list" && requestURI.includes("continue="))).toBe(false);
  });

  it("that are more than are kept make the kind unknown, and not the others", async () => {
    for (const name of ["a", "b", "c"]) await cluster.apply(policy("KubeArmorHostPolicy", name));
    const { policies, logged } = watch({ maxPerKind: 2, pageSize: 1 });
    await eventually("all", () => policies.knowledge("KubeArmorPolicy") === "known");
    await eventually("too many", () => policies.stats().find(({ leftOut }) => leftOut > 0));
    expect(policies.knowledge("KubeArmorHostPolicy")).toBe("unknown");
    expect(policies.stats().find(({ kind }) => kind === "KubeArmorHostPolicy")).toMatchObject({
      objects: 2,
      leftOut: 1,
    });
    expect(logged).toContainEqual({ kind: "KubeArmorHostPolicy", kept: 2 });
  });

  it("without the right are unknown, which is said once and is not an error", async () => {
    const token = await cluster.createServiceAccountToken("shop", "nobody");
    const poor = createKubeClient(cluster.kubeconfigFor(token));
    const { policies, logged } = watch({ client: poor });
    ends.push(() => poor.close());
    await policies.ready();
    expect(policies.knowledge("KubeArmorPolicy")).toBe("unknown");
    const requests = poor.stats().requests;
    await eventually("tries", () => poor.stats().requests > requests + 8);
    expect(logged.filter((fields) => "answer" in fields)).toHaveLength(4);
  });

  it("outlive an API server that goes away", async () => {
    const { policies } = watch();
    await eventually("all", () => policies.knowledge("KubeArmorPolicy") === "known");
    await cluster.stopApiServer();
    await cluster.startApiServer();
    await cluster.apply(policy("KubeArmorPolicy", "afterwards", { namespace: "shop" }));
    await eventually("the one made afterwards", () => policies.find("KubeArmorPolicy", "shop", "afterwards"));
  });
});
