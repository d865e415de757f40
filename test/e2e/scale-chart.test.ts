// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart with `scale.enabled`, installed on a real API server: its readers and owners run with the arguments, the
// configuration, the Secret and the account that their Deployments name, over a NATS server that asks for a password.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { applyDaemonPod, DAEMON_PORT } from "../../tools/cluster/kubearmor-pods.ts";
import { removeAtOurEnd } from "../../tools/cluster/process.ts";
import { makeAlert } from "../../tools/kubearmor-node/alerts.ts";
import { KEEPALIVE, type KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { findNatsObstacle, NatsServer } from "../../tools/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { OperatorProcess } from "../support/operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports, sumOccurrences } from "../support/reports.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const NAMESPACE = "kubearmor";
const NAME = "pvo-policy-violation-operator";
const IP = "127.79.0.1";
const SECRET = { user: "pvo", password: "secret" };
const MOUNT = "/var/run/secrets/policy-violation-operator/nats";

/** Shards, and as many partitions: the defaults. */
const PARTS = 8;
const sum = (counts: number[]) => counts.reduce((all, count) => all + count, 0);

interface Deployment {
  spec: {
    replicas: number;
    template: {
      spec: {
        serviceAccountName: string;
        containers: { args: string[]; volumeMounts: { name: string; mountPath: string }[] }[];
        volumes: { name: string; secret?: { secretName: string } }[];
      };
    };
  };
}

describeReal(
  "the chart with several processes",
  () => {
    const cluster = useCluster({ namespaces: [NAMESPACE, "shop"] });
    const processes: OperatorProcess[] = [];
    let nats: NatsServer | undefined;
    let node: KubeArmorNode | undefined;

    beforeAll(async () => {
      nats = await NatsServer.start({
        config: `authorization { user: "${SECRET.user}", password: "${SECRET.password}" }`,
      });
      const values = {
        "scale.enabled": "true",
        "scale.secretName": "nats-credentials",
        "config.scale.nats.url": nats.url,
        "config.scale.nats.replicas": "1",
      };
      const sets = Object.entries(values).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
      const literals = Object.entries(SECRET).map(([key, value]) => `--from-literal=${key}=${value}`);
      await cluster.kubectl([...["create", "secret", "generic", "nats-credentials", "-n", NAMESPACE], ...literals]);
      await cluster.helm(["install", "pvo", CHART, "--namespace", NAMESPACE, ...sets]);
      node = await startNode({ host: IP, port: DAEMON_PORT, keepalive: KEEPALIVE.daemon });
      await applyDaemonPod(cluster, { name: "kubearmor-1", ip: IP, node: "chart-node-1" });
    });
    afterAll(async () => {
      for (const one of processes) await one.kill();
      await node?.stop();
      await nats?.stop();
    });

    /** Starts what the pods of a Deployment would run; files that are mounted are files of a folder. */
    async function start(deployment: string): Promise<OperatorProcess[]> {
      const get = async (kind: string, name: string) =>
        JSON.parse(await cluster.kubectl(["get", kind, name, "-n", NAMESPACE, "-o", "json"])) as unknown;
      const { spec } = (await get("deployment", deployment)) as Deployment;
      const { containers, volumes, serviceAccountName } = spec.template.spec;
      const [{ args, volumeMounts } = { args: [], volumeMounts: [] }] = containers;
      const volume = volumeMounts.find(({ mountPath }) => mountPath === MOUNT)?.name;
      expect(volumes.find(({ name }) => name === volume)?.secret?.secretName).toBe("nats-credentials");
      const { data } = (await get("configmap", NAME)) as { data: Record<string, string> };
      const folder = createFolder();
      removeAtOurEnd(folder);
      const config = data["config.yaml"] ?? "";
      expect(config).toContain(MOUNT);
      writeFileSync(join(folder, "config.yaml"), config.replace(MOUNT, folder));
      for (const [key, value] of Object.entries(SECRET)) writeFileSync(join(folder, key), value);
      const [command, ...rest] = args;
      const token = await cluster.createServiceAccountToken(NAMESPACE, serviceAccountName);
      const started = Array.from(
        { length: spec.replicas },
        (_, i) =>
          new OperatorProcess({
            command: command as "run" | "collect",
            args: rest.map((arg) => (arg.endsWith("config.yaml") ? join(folder, "config.yaml") : arg)),
            kubeconfig: cluster.kubeconfigFor(token),
            relay: "127.0.0.1:1",
            leaderElection: true,
            env: { POD_NAMESPACE: NAMESPACE, POD_NAME: `${deployment}-${i}` },
          }),
      );
      processes.push(...started);
      return started;
    }

    test("writes every report with the rights that it has", async () => {
      const [owners, readers] = [await start(NAME), await start(`${NAME}-reader`)];
      expect([owners.length, readers.length]).toEqual([2, 2]);
      let before = "";
      // The node is not read while its shard moves from one reader to the other.
      await eventually("parts for everyone that stay", async () => {
        const held = await Promise.all([...owners, ...readers].map((one) => one.readMetric("scale_parts_held")));
        const [now, isSame] = [held.join(" "), held.join(" ") === before];
        before = now;
        if (isSame && held.every((count) => count > 0) && sum(held) === 2 * PARTS) return true;
        // Long enough for a reader to see the Leases that the other took.
        await sleep(2000);
        return false;
      });
      await node?.waitForClients(1);
      await node?.flood({ alert: [makeAlert({ NamespaceName: "shop", PolicyName: "one" })], count: 500 });
      await eventually("500 alerts", async () => sumOccurrences(await listReports(cluster)) === 500);
      for (const one of owners) {
        expect([await one.readMetric("leader"), await one.readMetric("stream_up")]).toEqual([1, 1]);
      }
      for (const one of readers) expect(await one.readMetric("leader")).toBe(0);
      for (const one of [...readers, ...owners]) expect(await one.stop()).toBe(0);
      expect(sumOccurrences(await listReports(cluster))).toBe(500);
      const user = `system:serviceaccount:${NAMESPACE}:${NAME}`;
      const refused = cluster
        .auditEntries()
        .filter(({ user: { username } }) => username === user || username === `${user}-reader`)
        .filter(({ responseStatus }) => responseStatus?.code === 403);
      expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
    });

    test("gives readers no right to reports, and owners none to list pods", async () => {
      const canI = async (account: string, ...right: string[]) => {
        const user = `--as=system:serviceaccount:${NAMESPACE}:${account}`;
        // Exits with 1 for "no".
        const answer = await cluster.kubectl(["auth", "can-i", ...right, user]).catch((error) => String(error));
        return answer.trim() === "yes";
      };
      const reader = `${NAME}-reader`;
      expect(await canI(reader, "list", "pods", "-A")).toBe(true);
      expect(await canI(NAME, "list", "pods", "-A")).toBe(false);
      for (const verb of ["get", "list", "create", "update", "delete"]) {
        const reports = "policyviolationreports.reports.kubearmor.com";
        expect(await canI(reader, verb, reports, "-n", "shop")).toBe(false);
        expect(await canI(NAME, verb, reports, "-n", "shop")).toBe(true);
        expect(await canI(reader, verb, "leases", "-n", NAMESPACE)).toBe(true);
        expect(await canI(reader, verb, "leases", "-n", "kube-system")).toBe(false);
        expect(await canI(reader, verb, "secrets", "-n", NAMESPACE)).toBe(false);
      }
    });
  },
  findClusterObstacle() ?? findNatsObstacle(),
);
