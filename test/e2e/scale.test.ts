// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers and owners over a real NATS server and a real API server, killed at random moments under load: the reports
// hold every alert once, less what a killed reader had not published, which they declare.

import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { findNatsObstacle, NatsServer } from "../../tools/nats-server.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { HeldProxy } from "../support/held-proxy.ts";
import { useCluster } from "../support/real-parts.ts";
import { sumOccurrences } from "../support/reports.ts";
import { NatsCluster } from "../support/scale/nats-cluster.ts";
import { ScaleRun, type ScaleRunOptions } from "../support/scale/scale-run.ts";

const missing = findClusterObstacle() ?? findNatsObstacle();

const isLeftOut = missing !== undefined && !process.env["CI"];

describe.skipIf(isLeftOut)(`scale (${missing ?? "real parts"})`, { timeout: 400_000 }, () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor", "shop", "bank"] });
  let nats: NatsServer | NatsCluster | undefined;
  let run: ScaleRun | undefined;

  afterEach(async () => {
    await run?.stop();
    await nats?.stop();
    run = undefined;
    nats = undefined;
  });

  async function begin(options: Partial<ScaleRunOptions> = {}): Promise<ScaleRun> {
    nats ??= await NatsServer.start();
    const replicas = nats instanceof NatsCluster ? 3 : 1;
    run = new ScaleRun({ cluster, nats, replicas, ...options });
    await run.start();
    run.startReader();
    run.startOwner();
    await run.waitUntilRead();
    return run;
  }

  test("reports hold every alert that was raised", async () => {
    const run = await begin();
    run.startReader();
    run.startOwner();
    run.startFlood();
    await pause(5000);
    await run.stopFlood();
    await run.waitUntilSettled();
    expect(sumOccurrences(await run.listReports()) + (await run.countDeclared())).toBeGreaterThanOrEqual(
      run.raised.length,
    );
    expect(sumOccurrences(await run.listReports())).toBeLessThanOrEqual(run.raised.length);
    expect(run.raised.length).toBeGreaterThan(1000);
  });

  test("lose nothing when owners, NATS and the API server are killed", async () => {
    const server = await NatsServer.start();
    nats = server;
    const run = await begin();
    run.startFlood();
    for (let turn = 0; turn < 3; turn++) {
      await pause(Math.random() * 3000);
      const owner = run.startOwner();
      await owner.getMetricsAddress();
      await pause(Math.random() * 3000);
      await run.owners[turn]?.kill();
      await server.kill();
      await pause(Math.random() * 2000);
      await server.start();
      await cluster.stopApiServer();
      await pause(Math.random() * 4000);
      await cluster.startApiServer();
    }
    await pause(5000);
    await run.stopFlood();
    expect(await run.waitUntilSettled(15_000)).toBe(run.raised.length);
  });

  test("declare what killed readers had not published", async () => {
    const run = await begin();
    run.startFlood();
    await pause(5000);
    for (let turn = 0; turn < 3; turn++) {
      run.startReader();
      await pause(1000 + Math.random() * 4000);
      await run.readers[turn]?.kill();
    }
    await pause(8000);
    await run.stopFlood();
    const reported = await run.waitUntilSettled();
    expect(reported).toBeLessThanOrEqual(run.raised.length);
    expect(await run.countDeclared()).toBeGreaterThanOrEqual(run.raised.length - reported);
  });

  test("have the status of acceptances with two owners, and an open gap while a node is not read", async () => {
    const run = await begin();
    run.startOwner();
    run.startFlood();
    const policies = ["one", "two", "three", "four"];
    const acceptances = policies.map((policy) => renderAcceptance(policy, { match: { policy }, reason: "known" }));
    await cluster.apply(acceptances.join("\n---\n"));
    await eventually("four statuses", async () => {
      const path = "jsonpath={.items[*].status.matched.violations}";
      const found = await cluster.kubectl(["get", "av", "-n", "shop", "-o", path]);
      return found.split(" ").filter((count) => Number(count) > 0).length === policies.length;
    });
    const coverage = async () => (await run.listReports()).map((report) => report.coverage);
    await eventually("reports that are whole", async () =>
      (await coverage()).every((one) => one.continuousSince !== undefined && one.nodes?.desired === 3),
    );
    await run.nodes[0]?.stop();
    await eventually("an open gap", async () =>
      (await coverage()).every(
        (one) => one.continuousSince === undefined && one.recent?.some((gap) => gap.to === undefined),
      ),
    );
    await run.nodes[0]?.start();
    await eventually("no open gap", async () =>
      (await coverage()).every(
        (one) => one.continuousSince !== undefined && one.recent?.every((gap) => gap.to !== undefined),
      ),
    );
    await cluster.kubectl(["delete", "av", "-n", "shop", "--all"]);
  });

  test("say in the Lease that the nodes are not read", async () => {
    const run = await begin();
    const missing = async () => {
      const path = `jsonpath={.metadata.annotations['reports\\.kubearmor\\.com/alerts-missing-since']}`;
      const lease = "policy-violation-operator";
      return await cluster.kubectl(["get", "lease", lease, "-n", "kubearmor", "-o", path]);
    };
    await eventually("a Lease of the operator", async () =>
      (await cluster.kubectl(["get", "leases", "-n", "kubearmor", "-o", "name"])).includes(
        "/policy-violation-operator\n",
      ),
    );
    await eventually("nothing is missing", async () => (await missing()) === "");
    await run.readers[0]?.kill();
    await eventually("the time of the last reader", async () => (await missing()) !== "");
    run.startReader();
    await eventually("nothing is missing again", async () => (await missing()) === "");
  });

  test("have an open stream in a reader without a node, and none where the only node is not read", async () => {
    const run = await begin({ nodes: 1 });
    run.startReader();
    const of = async (name: string) => await Promise.all(run.readers.map((one) => one.readMetric(name)));
    await eventually("shards for both", async () => (await of("scale_parts_held")).join() === "2,2");
    await eventually("one with the node", async () => (await of("nodes_connected")).toSorted().join() === "0,1");
    await eventually("both up", async () => (await of("stream_up")).join() === "1,1");
    const hasNode = await of("nodes_desired");
    await run.nodes[0]?.stop();
    const expected = hasNode.map((count) => 1 - count).join();
    await eventually("no stream of the node", async () => (await of("stream_up")).join() === expected);
  });

  test("lose nothing when the network to NATS is cut", async () => {
    nats = await NatsServer.start();
    const proxy = new HeldProxy(nats.url);
    await proxy.start();
    const run = await begin({ nats: { url: proxy.url.replace("https", "nats") } });
    run.startFlood();
    for (let turn = 0; turn < 2; turn++) {
      await pause(3000);
      proxy.hold();
      await pause(8000 + Math.random() * 6000);
      proxy.release();
    }
    await pause(5000);
    await run.stopFlood();
    expect(await run.waitUntilSettled(15_000)).toBe(run.raised.length);
    await run.stop();
    await proxy.stop();
  });

  test("lose nothing when each of three NATS servers is killed, and another is cut off", async () => {
    const servers = await NatsCluster.start();
    nats = servers;
    const run = await begin();
    run.startFlood();
    for (const server of servers.servers) {
      await pause(3000);
      await server.kill();
      await pause(5000);
      await server.start();
    }
    const [first] = servers.servers;
    first?.freeze();
    await pause(15_000);
    first?.thaw();
    await pause(5000);
    await run.stopFlood();
    // Until then a consumer may have to be found missing.
    const isAll = async () => sumOccurrences(await run.listReports()) === run.raised.length;
    await eventually("every alert in the reports", isAll, 120_000);
    expect(await run.waitUntilSettled()).toBe(run.raised.length);
  });

  test("declare every alert that is missing when readers and owners come and go", async () => {
    // Long enough for a busy machine to renew it: no alert is lost by a Lease that is.
    const run = await begin({ leaseMs: 15_000 });
    run.startFlood();
    for (let turn = 0; turn < 3; turn++) {
      const [reader, owner] = [run.startReader(), run.startOwner()];
      await reader.getMetricsAddress();
      await owner.getMetricsAddress();
      await pause(5000);
      expect(await run.owners[turn]?.stop()).toBe(0);
      expect(await run.readers[turn]?.stop()).toBe(0);
    }
    await pause(8000);
    await run.stopFlood();
    await run.waitUntilSettled();
    expect(await run.findProblems()).toEqual([]);
  });
});
