// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real node where the machine can have one; elsewhere skipped, and the title says what is missing.

import { existsSync, globSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { run } from "../../tools/cluster/process.ts";
import { isAlive } from "../../tools/parts/lock.ts";
import { IDLE_IMAGE } from "./image.ts";
import { findNodeObstacle } from "./needs.ts";
import { type RealNode, startRealNode } from "./node.ts";

const missing = findNodeObstacle();

const POD = JSON.stringify({
  apiVersion: "v1",
  kind: "List",
  items: [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "cart", namespace: "shop" },
      spec: { containers: [{ name: "main", image: IDLE_IMAGE, imagePullPolicy: "Never", args: ["the cart is open"] }] },
    },
  ],
});

/** Traces of a node on the machine outside its own folder. */
const findTraces = () => [
  ...globSync("/sys/fs/cgroup/**/pvo-node-*"),
  ...["/var/lib/kubelet", "/var/log/pods", "/opt/containerd"].filter((path) => existsSync(path)),
];

describe.skipIf(missing !== undefined)(`a real node (${missing ?? "here"})`, () => {
  let node: RealNode;
  let before: string[];

  beforeAll(async () => {
    before = findTraces();
    node = await startRealNode();
    return () => node.stop();
  });

  test("runs a pod, in a namespace that was made a moment before", async () => {
    await node.apply(POD);
    await node.kubectl(["wait", "--for=condition=Ready", "pod/cart", "-n", "shop", "--timeout=60s"]);
    const { body } = await node.request("GET", "/api/v1/namespaces/shop/pods/cart");
    expect(body.spec.nodeName).toBe("real-node");
    expect(body.status).toMatchObject({ phase: "Running", podIP: expect.stringMatching(/^10\.244\.0\.\d+$/) });
  });

  test("lets the API server reach the kubelet: logs are shown", async () => {
    expect(await node.kubectl(["logs", "cart", "-n", "shop"])).toBe("the cart is open\n");
  });

  test("deletes a pod when its namespace is deleted", async () => {
    await node.kubectl(["delete", "namespace", "shop", "--wait", "--timeout=60s"]);
    expect((await node.request("GET", "/api/v1/namespaces/shop")).status).toBe(404);
  });

  test("leaves nothing behind", async () => {
    const pids = node.pids();
    expect(findTraces().length).toBeGreaterThan(before.length);
    await node.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(findTraces()).toEqual(before);
    expect((await run("ps", ["-eo", "args"])).stdout).not.toContain("--hostname-override=real-node");
  });
});
