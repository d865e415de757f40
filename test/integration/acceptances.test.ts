// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The acceptances of a real API server: what becomes of a status write that comes too late or is refused.

import { afterEach, expect, it } from "vitest";
import { AcceptanceWatch, type AcceptanceWatchOptions } from "../../src/acceptance/acceptance-watch.ts";
import type { StatusWriterOptions } from "../../src/acceptance/status-writer.ts";
import type { KubeClient, KubeRequest } from "../../src/kube/client.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { createKubeClient, useKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

/** Half a minute between two tries is long for a test. */
const TIMES = 100;
const hurried: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * TIMES,
  sleep: (ms, signal) => systemClock.sleep(ms / TIMES, signal),
  after: (ms, fn) => systemClock.after(ms / TIMES, fn),
};

/** Every acceptance matches the same. */
function* makeCounts(): ReturnType<StatusWriterOptions["matched"]> {
  const names = ["raced", "unsaid", "led"];
  return new Map(names.map((name) => [name, { violations: 1, occurrences: 2 }]));
}

function createAcceptance(name: string): string {
  return renderAcceptance(name, { match: { policy: "no-package-managers", operation: "Process" }, reason: "a test" });
}

/** May follow acceptances; the status of one, only where that is said. */
function createRole(name: string, mayWriteStatus: boolean): string {
  const apiGroups = ["reports.kubearmor.com"];
  const rules = [
    { apiGroups, resources: ["acceptedviolations"], verbs: ["list", "watch"] },
    ...(mayWriteStatus ? [{ apiGroups, resources: ["acceptedviolations/status"], verbs: ["patch"] }] : []),
  ];
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const subjects = [{ kind: "ServiceAccount", name, namespace: "shop" }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion, kind: "ClusterRole", metadata: { name }, rules },
      { apiVersion, kind: "ClusterRoleBinding", metadata: { name }, subjects, roleRef },
    ],
  });
}

describeReal("acceptances", () => {
  const cluster = useCluster({ controllerManager: false, crds: true, namespaces: ["shop"] });
  const client = useKubeClient(cluster);
  const ends: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await cluster.kubectl(["delete", "av", "-n", "shop", "--all"]);
  });
  /** A watch that runs until the end of the test. */
  function watch(options: Partial<AcceptanceWatchOptions> = {}) {
    const warned: object[] = [];
    const acceptances = new AcceptanceWatch({
      client,
      clock: hurried,
      logger: { ...silentLogger, warn: (fields: object) => void warned.push(fields) },
      onChange: () => {},
      matched: makeCounts,
      mayWrite: () => true,
      absentRetryMs: 200,
      ...options,
    });
    const stop = new AbortController();
    const running = acceptances.run(stop.signal);
    ends.push(async () => {
      stop.abort();
      await running;
    });
    return { acceptances, warned };
  }

  async function readStored(name: string): Promise<{ annotations?: object; status: string | undefined }> {
    const { metadata, status } = JSON.parse(await cluster.kubectl(["get", "av", "-n", "shop", name, "-o", "json"]));
    return { annotations: metadata.annotations, status: status?.conditions?.[0]?.status };
  }

  const isActive = (name: string) =>
    eventually(`${name} is active`, async () => (await readStored(name)).status === "True");

  it("with a status that another client changes meanwhile are written again from the newest state", async () => {
    let overtake: (() => Promise<unknown>) | undefined = () =>
      cluster.kubectl(["annotate", "av", "-n", "shop", "raced", "team=web"]);
    const slow = {
      request: async <T>(request: KubeRequest) => {
        if (request.method === "PATCH") await overtake?.().then(() => (overtake = undefined));
        return await client.request<T>(request);
      },
      stream: client.stream.bind(client),
    } as KubeClient;
    await cluster.apply(createAcceptance("raced"));
    const { acceptances, warned } = watch({ client: slow });
    await isActive("raced");
    expect((await readStored("raced")).annotations).toMatchObject({ team: "web" });
    expect(acceptances.statusWrites).toEqual({ written: 1, conflict: 1, failed: 0 });
    expect(warned).toEqual([]);
  });

  it("without the right to write their status have effect all the same; it is logged once, and retried", async () => {
    const token = await cluster.createServiceAccountToken("shop", "poor");
    await cluster.apply(createRole("poor", false));
    await cluster.apply(createAcceptance("unsaid"));
    const poor = createKubeClient(cluster.kubeconfigFor(token));
    ends.push(() => poor.close());
    const { acceptances, warned } = watch({ client: poor });
    await eventually("tries", () => (acceptances.statusWrites["failed"] ?? 0) > 2);
    expect(acceptances.find("shop", "no-package-managers")?.names).toEqual(["unsaid"]);
    expect((await readStored("unsaid")).status).toBeUndefined();
    expect(warned).toMatchObject([{ answer: expect.stringContaining("forbidden") }]);
    await cluster.apply(createRole("poor", true));
    await isActive("unsaid");
    expect(acceptances.statusWrites["written"]).toBe(1);
  });

  it("are followed and not written by who does not lead", async () => {
    let leads = false;
    await cluster.apply(createAcceptance("led"));
    let asked = 0;
    const mayWrite = () => {
      asked++;
      return leads;
    };
    const { acceptances } = watch({ mayWrite });
    await eventually("a write that was due", () => asked > 2);
    expect(acceptances.find("shop", "no-package-managers")?.names).toHaveLength(1);
    expect(acceptances.statusWrites).toEqual({ written: 0, conflict: 0, failed: 0 });
    leads = true;
    await isActive("led");
  });

  it("have their status written by the process that has the report", async () => {
    let owned = "";
    await cluster.apply(createAcceptance("owned"));
    const { acceptances } = watch({ ownsReport: (namespace, policy) => `${namespace}/${policy}` === owned });
    await acceptances.ready();
    await hurried.sleep(30_000);
    expect((await readStored("owned")).status).toBeUndefined();
    owned = "shop/no-package-managers";
    acceptances.onReportsLoaded();
    await isActive("owned");
    expect(acceptances.statusWrites).toEqual({ written: 1, conflict: 0, failed: 0 });
  });
});
