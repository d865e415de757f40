// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Mistakes of people, and input of hostile or broken peers: one clear message each, and the process goes on where
// that makes sense.

import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { OperatorProcess, readReconciledCounters } from "../support/operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const folder = createFolder();

function runCli(args: string[], input?: string): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: folder },
    ...(input === undefined ? {} : { input }),
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: status, stdout, stderr };
}

test("a wrong configuration names every problem with its path and exits 2", () => {
  const file = join(folder, "wrong.yaml");
  writeFileSync(file, "reports:\n  maxViolatoins: 3\n  maxBytes: lots\nfeed:\n  relay:\n    address: nowhere\n");
  const { code, stderr } = runCli(["run", "--config", file]);
  expect(code).toBe(2);
  expect(stderr).toContain("reports.maxViolatoins");
  expect(stderr).toContain("reports.maxViolations");
  expect(stderr).toContain("reports.maxBytes");
  expect(stderr).toContain("feed.relay.address");
});

test("an unreadable kubeconfig is named", () => {
  const { code, stderr } = runCli(["run", "--kubeconfig", join(folder, "none")]);
  expect(code).toBe(2);
  expect(stderr).toContain(join(folder, "none"));
});

test("replay names each line that is not an alert, counts the rest, and exits 3", () => {
  const good = JSON.stringify(readAlerts(SAMPLES_PATH)[0]);
  const input = [
    good,
    "{not json",
    "[1]",
    "{}",
    `{"PolicyName":"p","Source":"${"x".repeat(5_000_000)}"}`,
    "",
    good,
    '{"Type":"MatchedPolicy"}',
  ].join("\n");
  const out = join(folder, "replayed");
  const { code, stdout, stderr } = runCli(["replay", "-", "--out", out], input);
  expect(code).toBe(3);
  expect(stderr).toContain("line 2: invalid_json");
  expect(stderr).toContain("line 3: not_an_alert");
  expect(stderr).toContain("line 4: not_an_alert");
  expect(stderr).toContain("line 5: line_too_long");
  expect(stderr).toContain("line 8: no_policy");
  expect(stdout).toContain("7 alerts received = 1 counted + 1 duplicates + 0 throttle notices + 5 rejected");
  expect(readdirSync(join(out, "default", "policyviolationreports"))).toEqual(["block-pkg-mgmt-tools-exec.yaml"]);
});

test("a file that is not there is named", () => {
  const { code, stderr } = runCli(["replay", join(folder, "none.jsonl"), "--out", folder]);
  expect(code).toBe(1);
  expect(stderr).toContain("none.jsonl");
});

describeReal("in a cluster", () => {
  const cluster = useCluster();
  let operator: OperatorProcess;

  afterEach(async () => {
    await operator?.kill();
  });

  /** Waits until the operator is not ready, for a reason with this text. */
  async function waitForReason(text: string): Promise<void> {
    await eventually(`not ready: ${text}`, async () => {
      const { status, body } = await operator.get("/readyz");
      return status === 503 && body.includes(text);
    });
  }

  test("without the CRDs, a leader that is stopped does not end as if its counts were written", async () => {
    const node = await startNode();
    const env = { PVO_LEADER_ELECTION_LEASE_NAMESPACE: "default" };
    operator = new OperatorProcess({
      ...{ kubeconfig: cluster.kubeconfigPath, relay: node.address, leaderElection: true, env },
    });
    await waitForReason("kubectl apply -f crds/");
    await node.waitForClients();
    node.push(readAlerts(SAMPLES_PATH)[0]!);
    await operator.waitForReceived(1);
    expect(await operator.stop()).toBe(1);
    expect(operator.log.find(({ pending }) => pending !== undefined)).toMatchObject({ level: "error", pending: 1 });
    await node.stop();
  });

  test("without the CRDs it says how to install them, counts on, and writes once they are there", async () => {
    const node = await startNode();
    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: node.address });
    await waitForReason("kubectl apply -f crds/");
    await node.waitForClients();
    node.push(readAlerts(SAMPLES_PATH)[0]!);
    await operator.waitForReceived(1);
    expect((await operator.get("/readyz")).status).toBe(503);
    await cluster.applyCrds();
    await operator.waitForWritten();
    expect((await operator.get("/readyz")).status).toBe(200);
    expect((await report(cluster, "default", "block-pkg-mgmt-tools-exec"))?.summary.occurrences).toBe(1);
    await node.stop();
  });

  test("garbage on the wire is counted by reason and disturbs nothing", async () => {
    await cluster.applyCrds();
    const node = await startNode();
    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: node.address });
    await node.waitForClients();
    node.pushRaw(Buffer.from([0xff, 0xff, 0xff]));
    node.pushRaw(Buffer.alloc(0));
    node.push({});
    node.push({
      PolicyName: "../../etc",
      NamespaceName: "kube-system\n",
      HostName: "\u001b[31mred",
      Source: "a\u202eb --password hunter2",
      Type: "?",
      Operation: "\u0000",
    });
    node.push({
      ...readAlerts(SAMPLES_PATH)[0]!,
      Resource: `/usr/bin/apt ${"x".repeat(65_536)}`,
      Source: "é".repeat(40_000),
    });
    await operator.waitForReported(5);
    const { counted } = await readReconciledCounters(operator);
    expect(counted).toBe(2);
    const all = await cluster.kubectl(["get", "pvr,cpvr", "-A", "-o", "yaml"]);
    expect(all).not.toContain("hunter2");
    expect(all).not.toContain("\\e");
    expect(all).not.toContain("\u202e");
    await node.stop();
  });

  test("without rights it names the right that is missing and goes on when it is granted", async () => {
    await cluster.applyCrds();
    const token = await cluster.createServiceAccountToken("default", "powerless");
    const node = await startNode();
    operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigFor(token),
      relay: node.address,
      // It may not look for the Secret, either, and then would not read: test/e2e/relay-tls.test.ts.
      env: { PVO_FEED_RELAY_TLS_MODE: "off" },
    });
    await waitForReason("policyviolationreports");
    await node.waitForClients();
    node.push(readAlerts(SAMPLES_PATH)[1]!);
    const binding = "powerful --clusterrole=cluster-admin --serviceaccount=default:powerless";
    await cluster.kubectl(["create", "clusterrolebinding", ...binding.split(" ")]);
    await eventually("the report", () => report(cluster, "default", "audit-etc-nginx-access"));
    await node.stop();
  });
});
