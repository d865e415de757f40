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
