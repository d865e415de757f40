// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run test:node`: one KubeArmor daemon in a pod with the node's network, read at the same time through its Service,
// as the relay is, and on the node directly, by the address of its pod.
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
const LABEL = "app.kubernetes.io/name=policy-violation-operator";
/** Replica beside those of the chart. */
const BY_RELAY = "by-relay";
const ALERT = { NamespaceName: "shop", PolicyName: "no-package-managers" };

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

  /** Sends alerts to so many readers, and waits until the reports have them. */
  async function sendAndCount(count: number, readers: number): Promise<void> {
    await eventually(`${readers} clients`, async () => (await askDaemon()).clients === readers, 120_000);
    const alerts = ["web-1", "web-2", "db-1"].map((PodName) => ({ ...ALERT, HostName: node.nodeName, PodName }));
    await askDaemon({ alerts, count, ratePerSec: 200 });
    pushed += count;
    const reported = async () => sumOccurrences(await listReports(node));
    await eventually(`${pushed} reported`, async () => (await reported()) === pushed, 120_000);
  }

  /** What a replica has counted, and how many of it no report has, by the names of its metrics. */
  async function readCounts(pod: string): Promise<Record<string, number>> {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:8080/proxy/metrics`;
    const text = await node.kubectl(["get", "--raw", path]);
    const all = text.matchAll(/^policy_violation_(alerts_counted_total|standby_alerts_held|nodes_connected) (\S+)$/gm);
    return Object.fromEntries(Array.from(all, ([, name = "", value]) => [name, Number(value)]));
  }

  test("is read through a Service and on its node at the same time, and both count the same", async () => {
    for (const name of [NAMESPACE, "shop"]) await node.kubectl(["create", "namespace", name]);
    await apply([DAEMON, SERVICE]);
    const image = ["--set", `image.repository=${OPERATOR_IMAGE}`];
    await node.helm(["install", RELEASE, CHART, ...IN, ...image, ...WAIT]);
    const { template } = JSON.parse(await node.kubectl(["get", "deployment", RELEASE, ...IN, "-o", "json"])).spec;
    const mode = ["--reuse-values", "--set", "config.feed.mode=nodes"];
    await node.helm(["upgrade", RELEASE, CHART, ...IN, ...mode, ...WAIT]);
    const [container] = template.spec.containers;
    const env = [...container.env, { name: "PVO_FEED_MODE", value: "relay" }];
    const metadata = { name: BY_RELAY, namespace: NAMESPACE };
    await apply([
      { apiVersion: "v1", kind: "Pod", metadata, spec: { ...template.spec, containers: [{ ...container, env }] } },
    ]);
    await node.kubectl(["wait", "--for=condition=Ready", `pod/${BY_RELAY}`, ...IN, "--timeout=120s"]);

    await sendAndCount(1500, 3);
    const names = await node.kubectl(["get", "pods", ...IN, "-l", LABEL, "-o", "jsonpath={.items[*].metadata.name}"]);
    const readAll = () => Promise.all([BY_RELAY, ...names.split(" ")].map(readCounts));
    await eventually("no alert held", async () => (await readAll()).every((each) => each["standby_alerts_held"] === 0));
    const counts = { alerts_counted_total: pushed, standby_alerts_held: 0 };
    const [byRelay, onNode] = [0, 1].map((nodes_connected) => ({ ...counts, nodes_connected }));
    expect(await readAll()).toEqual([byRelay, onNode, onNode]);
    for (const { coverage } of await listReports(node)) expect(coverage).toMatchObject({ gaps: 0, lowerBound: false });
    await node.kubectl(["delete", "pod", BY_RELAY, ...IN, "--wait"]);
  });

  test("is read on its node, exactly, and a restart of it is a declared gap", async () => {
    await sendAndCount(500, 2);
    const covered = async () => (await listReports(node))[0]?.coverage;
    expect((await covered())?.nodes).toEqual({ desired: 1, connected: 1 });
    await node.kubectl(["delete", "pod", "kubearmor", ...IN, "--wait"]);
    await eventually("an open gap", async () => (await covered())?.continuousSince === undefined, 120_000);
    await apply([DAEMON]);
    await node.kubectl(["wait", "--for=condition=Ready", "pod/kubearmor", ...IN, "--timeout=60s"]);
    await sendAndCount(500, 2);
    await eventually("no open gap", async () => (await covered())?.continuousSince !== undefined, 120_000);
    expect((await covered())?.recent?.[0]).toMatchObject({ kind: "NodeDown", nodes: 1 });
  });
});
