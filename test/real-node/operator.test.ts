// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run test:node`: the operator as users get it, on a real node. The image is built from the Dockerfile, the chart
// is installed with no values but the image's name, a relay runs in a pod, and its alerts name pods that run there.
// Skipped where the machine can't have a node or build an image; the title says what is missing.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { listReports, sumOccurrences } from "../support/reports.ts";
import { IDLE_IMAGE } from "./image.ts";
import { findNodeObstacle } from "./needs.ts";
import type { RealNode } from "./node.ts";
import { startNodeWithImages } from "./node-with-images.ts";
import { buildImages, findImageObstacle, OPERATOR_IMAGE, RELAY_IMAGE } from "./operator-image.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";
const IN = ["-n", NAMESPACE];

const WORKLOAD = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "cart", namespace: "shop" },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "cart" } },
      template: {
        metadata: { labels: { app: "cart" } },
        spec: { containers: [{ name: "cart", image: IDLE_IMAGE, imagePullPolicy: "Never" }] },
      },
    },
  },
];

/** As KubeArmor's own: name, labels, port. */
const RELAY = [
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "kubearmor-relay", namespace: NAMESPACE, labels: { "kubearmor-app": "kubearmor-relay" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "relay", image: RELAY_IMAGE, imagePullPolicy: "Never" }],
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kubearmor", namespace: NAMESPACE },
    spec: { selector: { "kubearmor-app": "kubearmor-relay" }, ports: [{ port: 32767 }] },
  },
];

const lacking = [findNodeObstacle(), findImageObstacle()].filter((why) => why !== undefined).join("; ");

const wanted = process.env["PVO_TEST_NODE"] === "1";
const missing = wanted ? lacking : "it takes minutes: `npm run test:node`";

const NAME = `the operator on a real node (${missing || "here"})`;

describe.skipIf(missing !== "")(NAME, { timeout: 600_000 }, () => {
  let node: RealNode;
  let pods: string[];
  let pushed = 0;

  beforeAll(async () => {
    node = await startNodeWithImages(buildImages);
    return () => node.stop();
  }, 900_000);

  const apply = (objects: readonly object[]) =>
    node.apply(`${objects.map((object) => JSON.stringify(object)).join("\n---\n")}\n`);
  const helm = (...args: string[]) => node.helm([...args, ...IN]);

  /** Asks the relay's pod through the API server's proxy; a body begins a flood. */
  async function askRelay(body?: object): Promise<{ clients: number; pushed: number; queued: number }> {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/kubearmor-relay:8081/proxy/`;
    return (await node.request(body === undefined ? "GET" : "POST", path, body)).body;
  }

  /** Sends `count` alerts about the pods that run, without waiting for their end. */
  async function sendFlood(count: number, ratePerSec: number): Promise<void> {
    const alerts = pods.map((PodName) => ({
      HostName: node.nodeName,
      NamespaceName: "shop",
      PodName,
      Owner: { Ref: "Deployment", Name: "cart", Namespace: "shop" },
      PolicyName: "no-package-managers",
    }));
    await askRelay({ alerts, count, ratePerSec });
    pushed += count;
  }

  async function waitUntilReported(): Promise<void> {
    await eventually(`${pushed} alerts are sent`, async () => (await askRelay()).pushed === pushed, 120_000);
    await eventually(
      `${pushed} reported`,
      async () => sumOccurrences(await listReports(node)) === pushed,
      120_000,
    ).catch(async (error: unknown) => {
      const reports = await listReports(node);
      throw new Error(`${sumOccurrences(reports)} of ${pushed}: ${JSON.stringify(reports.map((r) => r.coverage))}`, {
        cause: error,
      });
    });
  }

  /** Earlier alerts are lost to the replica that does not read yet, as from KubeArmor. */
  const bothRead = () => eventually("both replicas read", async () => (await askRelay()).clients === 2, 120_000);

  /** The pod that leads; while the Lease is free, after a leader has ended, the next one. */
  async function findLeader(): Promise<string> {
    const holder = ["get", "lease", RELEASE, ...IN, "-o", "jsonpath={.spec.holderIdentity}"];
    const name = async () => (await node.kubectl(holder)).replace(/_.*$/, "");
    return await eventually("a leader", async () => (await name()) || undefined);
  }

  test("helm install, with no value but the image's name, gives two ready pods before KubeArmor is there", async () => {
    const notes = await helm(
      ...["install", RELEASE, CHART, "--create-namespace", "--set", `image.repository=${OPERATOR_IMAGE}`],
      ...["--wait", "--timeout", "180s"],
    );
    expect(notes).toContain("WARNING: there is no Service kubearmor in the namespace kubearmor");
    const ready = ["get", "deployment", RELEASE, ...IN, "-o", "jsonpath={.status.readyReplicas}"];
    expect(await node.kubectl(ready)).toBe("2");
    expect(await helm("test", RELEASE)).toContain("Phase:          Succeeded");
  });

  test("when KubeArmor comes, its alerts become reports, exactly", async () => {
    await apply([...WORKLOAD, ...RELAY]);
    await node.kubectl(["wait", "--for=condition=Ready", "pod", "--all", ...IN, "--timeout=60s"]);
    await node.kubectl(["rollout", "status", "deployment/cart", "-n", "shop", "--timeout=60s"]);
    const names = await node.kubectl(["get", "pods", "-n", "shop", "-o", "jsonpath={.items[*].metadata.name}"]);
    pods = names.split(" ");
    expect(pods).toHaveLength(2);
    await bothRead();
    await sendFlood(500, 100);
    await waitUntilReported();
    const [report] = await listReports(node);
    expect(report?.metadata).toMatchObject({ namespace: "shop", name: "no-package-managers" });
    expect(report?.summary).toMatchObject({ occurrences: 500, prevented: 500, pods: 2, workloads: 1, nodes: 1 });
  });

  test("kubectl describe pod shows the Event", async () => {
    const described = await eventually("an Event", async () => {
      const text = await node.kubectl(["describe", "pod", pods[0] ?? "", "-n", "shop"]);
      return text.includes("PolicyViolationPrevented") && text;
    });
    expect(described).toMatch(/Warning\s+PolicyViolationPrevented\s.*reports\.kubearmor\.com/);
  });

  const upgrade = (value: string) =>
    helm("upgrade", RELEASE, CHART, "--reuse-values", "--set-string", value, "--wait", "--timeout", "180s");

  test("a rolling upgrade leaves every report, and two ready pods", async () => {
    await upgrade("podAnnotations.turn=2");
    expect(sumOccurrences(await listReports(node))).toBe(pushed);
    await helm("rollback", RELEASE, "1", "--wait", "--timeout", "180s");
    expect(sumOccurrences(await listReports(node))).toBe(pushed);
    expect(await findLeader()).toMatch(/^policy-violation-operator-/);
  });

  /** The operator's process in a pod, as this machine sees it. */
  function findPid(pod: string): number {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const pid = pids.find((one) => {
      try {
        const isOperator = readFileSync(`/proc/${one}/cmdline`, "utf8").includes("/app/policy-violation-operator.cjs");
        return isOperator && readFileSync(`/proc/${one}/environ`, "utf8").split("\0").includes(`POD_NAME=${pod}`);
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
    if (pid === undefined) throw new Error(`no process of ${pod}`);
    return Number(pid);
  }

  /** True where a replica could take over from the leader without a gap: a kill before that is a declared gap. */
  async function isStandbyCaughtUp(): Promise<boolean> {
    const names = ["get", "pods", ...IN, "-l", `app.kubernetes.io/instance=${RELEASE}`];
    const pods = await node.kubectl([...names, "-o", "jsonpath={.items[*].metadata.name}"]);
    const scrapes = pods
      .split(" ")
      .map((pod) => node.kubectl(["get", "--raw", `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:8080/proxy/metrics`]));
    // One that just ends answers nothing.
    const texts = (await Promise.allSettled(scrapes)).map((one) => (one.status === "fulfilled" ? one.value : ""));
    return texts.length === 2 && texts.some((text) => /^policy_violation_standby_ready 1$/m.test(text));
  }

  async function disturbUnderLoad(disturb: (leader: string) => Promise<unknown>): Promise<void> {
    await node.kubectl(["rollout", "status", `deployment/${RELEASE}`, ...IN, "--timeout=120s"]);
    await bothRead();
    // After a takeover it takes up to a minute or two until all is written that came around it.
    await eventually("the standby is in step", isStandbyCaughtUp, 240_000);
    await sendFlood(1500, 50);
    await eventually("a third is sent", async () => (await askRelay()).pushed > pushed - 1000, 120_000);
    await disturb(await findLeader());
    await waitUntilReported();
  }

  test("the leader's pod is deleted under load: the totals are exact", async () => {
    await disturbUnderLoad((pod) => node.kubectl(["delete", "pod", pod, ...IN, "--wait=false"]));
  });

  test("the leader's process is killed under load: the totals are exact", async () => {
    await disturbUnderLoad(async (pod) => process.kill(findPid(pod), "SIGKILL"));
  });

  test("a rolling upgrade under load: the totals are exact", async () => {
    await disturbUnderLoad(() => upgrade("podAnnotations.turn=3"));
  });

  test("the leader's pod is evicted under load: the totals are exact", async () => {
    await disturbUnderLoad(async (pod) => {
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace: NAMESPACE } };
      const { status } = await node.request("POST", `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/eviction`, eviction);
      expect(status).toBe(201);
    });
  });

  test("uninstall leaves the reports and no pod", async () => {
    expect(await helm("uninstall", RELEASE, "--wait")).toContain("kept due to the resource policy");
    expect(sumOccurrences(await listReports(node))).toBe(pushed);
    const labels = ["-l", `app.kubernetes.io/instance=${RELEASE}`];
    await eventually(
      "no pod is left",
      async () => (await node.kubectl(["get", "pods", ...IN, ...labels, "-o", "name"])) === "",
    );
  });
});
