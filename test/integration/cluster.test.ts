// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The test bed itself: a cluster that lost data in an outage, or left processes behind, would make other tests lie.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { run } from "../../tools/cluster/process.ts";
import { isAlive } from "../../tools/parts/lock.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster?.stop());

const createPod = (namespace: string, name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: {
    nodeName: "worker-1",
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "example.test/none:1" }],
  },
});

/** The one audit entry of a finished request. */
function findAudited(verb: string, uriStart: string) {
  return cluster
    .auditEntries()
    .filter((e) => e.stage === "ResponseComplete" && e.verb === verb && e.requestURI.startsWith(uriStart));
}

test("a pod is stored with a uid, and a deleted namespace takes it along and is gone", async () => {
  await cluster.kubectl(["create", "namespace", "shop"]);
  await cluster.apply(JSON.stringify(createPod("shop", "cart")));
  const stored = await cluster.request("GET", "/api/v1/namespaces/shop/pods/cart");
  expect(stored.status).toBe(200);
  expect(stored.body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  await cluster.kubectl(["delete", "namespace", "shop", "--wait", "--timeout=60s"]);
  expect((await cluster.request("GET", "/api/v1/namespaces/shop")).status).toBe(404);
  expect((await cluster.request("GET", "/api/v1/namespaces/shop/pods/cart")).status).toBe(404);
});

test("the audit log has the user, request, client and answer", async () => {
  await expect(cluster.kubectl(["get", "configmap", "no-such"])).rejects.toThrow('"no-such" not found');
  const [entry] = findAudited("get", "/api/v1/namespaces/default/configmaps/no-such");
  expect(entry).toMatchObject({
    user: { username: "admin" },
    userAgent: expect.stringMatching(/^kubectl\/v1\./),
    objectRef: { resource: "configmaps", namespace: "default", name: "no-such" },
    responseStatus: { code: 404 },
  });
});

test("a ServiceAccount has its own rights and no others", async () => {
  const token = await cluster.createServiceAccountToken("kubearmor", "reader");
  const kubeconfig = cluster.kubeconfigFor(token);
  const as = (...args: string[]) => cluster.kubectl(["--kubeconfig", kubeconfig, ...args]);
  expect(await as("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")).toBe(
    "system:serviceaccount:kubearmor:reader",
  );
  await expect(as("get", "pods", "-n", "default")).rejects.toThrow("Forbidden");
  expect(findAudited("list", "/api/v1/namespaces/default/pods")[0]).toMatchObject({
    user: { username: "system:serviceaccount:kubearmor:reader" },
    responseStatus: { code: 403 },
  });
});

test("the kinds of crds/ are served as soon as applyCrds is done", async () => {
  await cluster.applyCrds();
  await cluster.applyCrds();
  const { status, body } = await cluster.request("GET", "/apis/reports.kubearmor.com/v1alpha1/policyviolationreports");
  expect({ status, items: body.items }).toEqual({ status: 200, items: [] });
});

test("an API server that was stopped and started has the same address, data and identities", async () => {
  const token = await cluster.createServiceAccountToken("kubearmor", "survivor");
  await cluster.kubectl(["create", "configmap", "kept", "--from-literal=a=b"]);
  const pidsBefore = cluster.pids();
  await cluster.stopApiServer();
  await expect(cluster.request("GET", "/readyz")).rejects.toThrow("ECONNREFUSED");
  expect(cluster.pids()).toHaveLength(2);
  await cluster.startApiServer();
  expect(await cluster.kubectl(["get", "configmap", "kept", "-o", "jsonpath={.data.a}"])).toBe("b");
  const whoami = ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
  expect(await cluster.kubectl(["--kubeconfig", cluster.kubeconfigFor(token), ...whoami])).toBe(
    "system:serviceaccount:kubearmor:survivor",
  );
  expect(cluster.pids()).not.toEqual(pidsBefore);
  // The controller manager has found it again.
  await cluster.kubectl(["create", "namespace", "after"]);
  await cluster.kubectl(["delete", "namespace", "after", "--wait", "--timeout=60s"]);
});

test("a frozen API server accepts connections and answers only when it is thawed", async () => {
  await cluster.freezeApiServer();
  const answer = cluster.request("GET", "/version");
  const first = await Promise.race([answer, run("sleep", ["1"]).then(() => "no answer")]);
  cluster.thawApiServer();
  expect(first).toBe("no answer");
  expect((await answer).status).toBe(200);
});

test("stop leaves no process and no file", async () => {
  const own = await startCluster({ controllerManager: false });
  const pids = own.pids();
  expect(pids).toHaveLength(2);
  expect(pids.every(isAlive)).toBe(true);
  await own.stop();
  expect(pids.filter(isAlive)).toEqual([]);
  expect(existsSync(own.dir)).toBe(false);
});

test("a killed cluster leaves no process and no file", async () => {
  const program = `
    import { startCluster } from ${JSON.stringify(join(import.meta.dirname, "../../tools/cluster/cluster.ts"))};
    const { pids, dir } = await startCluster();
    console.log(JSON.stringify({ pids: pids(), dir }));
    process.kill(process.pid, "SIGKILL");
  `;
  const { stdout } = await run("sh", [
    "-c",
    `"$@"; true`,
    "sh",
    process.execPath,
    "--input-type=module",
    "-e",
    program,
  ]);
  const { pids, dir } = JSON.parse(stdout) as { pids: number[]; dir: string };
  expect(pids).toHaveLength(3);
  await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([]);
  await expect.poll(() => existsSync(dir), { timeout: 20_000 }).toBe(false);
});
