// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run test:node`: one KubeArmor daemon in a pod with the node's network, read through its Service as the relay is,
// and then on the node directly, by the address of its pod.
// Skipped where the machine can't have a node or build an image; the title says what is missing.

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { listReports, sumOccurrences } from "../support/reports.ts";
import { findNodeObstacle } from "./needs.ts";
import type { RealNode } from "./node.ts";
import { startNodeWithImages } from "./node-with-images.ts";
import { buildImages, findImageObstacle, OPERATOR_IMAGE, RELAY_IMAGE } from "./operator-image.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";
const IN = ["-n", NAMESPACE];
const WAIT = ["--wait", "--timeout", "180s"];

const DAEMON = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "kubearmor", namespace: NAMESPACE, labels: { "kubearmor-app": "kubearmor" } },
  spec: {
    hostNetwork: true,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "kubearmor", image: RELAY_IMAGE, imagePullPolicy: "Never" }],
  },
};
const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "kubearmor", namespace: NAMESPACE },
  spec: { selector: { "kubearmor-app": "kubearmor" }, ports: [{ port: 32767 }] },
};

const lacking = [findNodeObstacle(), findImageObstacle()].filter((why) => why !== undefined).join("; ");
const missing = process.env["PVO_TEST_NODE"] === "1" ? lacking : "it takes minutes: `npm run test:node`";

describe.skipIf(missing !== "")(`a daemon on a real node (${missing || "here"})`, { timeout: 600_000 }, () => {
  let node: RealNode;
  let pushed = 0;

  beforeAll(async () => {
    node = await startNodeWithImages(buildImages);
    return () => node.stop();
  }, 900_000);

  const apply = (objects: readonly object[]) =>
    node.apply(`${objects.map((object) => JSON.stringify(object)).join("\n---\n")}\n`);

  /** Asks the daemon through the API server's proxy; a body begins a flood. */
  async function askDaemon(body?: object): Promise<{ clients: number }> {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/kubearmor:8081/proxy/`;
    return (await node.request(body === undefined ? "GET" : "POST", path, body)).body;
  }

  async function sendAndCount(count: number): Promise<void> {
    await eventually("two clients", async () => (await askDaemon()).clients === 2, 120_000);
    const alert = { HostName: node.nodeName, NamespaceName: "shop", PolicyName: "no-package-managers" };
    await askDaemon({ alerts: [alert], count, ratePerSec: 100 });
    pushed += count;
    const reported = async () => sumOccurrences(await listReports(node));
    await eventually(`${pushed} reported`, async () => (await reported()) === pushed, 120_000);
  }

  test("is read through a Service, exactly", async () => {
    await node.kubectl(["create", "namespace", NAMESPACE]);
    await node.kubectl(["create", "namespace", "shop"]);
    await apply([DAEMON, SERVICE]);
    const image = ["--set", `image.repository=${OPERATOR_IMAGE}`];
    await node.helm(["install", RELEASE, CHART, ...IN, ...image, ...WAIT]);
    await sendAndCount(500);
    const [report] = await listReports(node);
    expect(report?.coverage.nodes).toBeUndefined();
  });

  test("is read on its node, exactly, and a restart of it is a declared gap", async () => {
    const mode = ["--reuse-values", "--set", "config.feed.mode=nodes"];
    await node.helm(["upgrade", RELEASE, CHART, ...IN, ...mode, ...WAIT]);
    await sendAndCount(500);
    const covered = async () => (await listReports(node))[0]?.coverage;
    expect((await covered())?.nodes).toEqual({ desired: 1, connected: 1 });
    await node.kubectl(["delete", "pod", "kubearmor", ...IN, "--wait"]);
    await eventually("an open gap", async () => (await covered())?.continuousSince === undefined, 120_000);
    await apply([DAEMON]);
    await node.kubectl(["wait", "--for=condition=Ready", "pod/kubearmor", ...IN, "--timeout=60s"]);
    await sendAndCount(500);
    await eventually("no open gap", async () => (await covered())?.continuousSince !== undefined, 120_000);
    expect((await covered())?.recent?.[0]).toMatchObject({ kind: "NodeDown", nodes: 1 });
  });
});
