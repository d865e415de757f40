// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The source that reads every node, against hundreds of node servers in this process.

import { describe, expect, it } from "vitest";
import { makeAlert } from "../../tools/kubearmor-node/alerts.ts";
import { KEEPALIVE, type KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { encodeAlert } from "../../tools/kubearmor-node/wire.ts";
import { createTarget, runNodes, startNodeForTest as startNode, startTcpServer } from "./alerts-bed.ts";

const PATIENCE = { timeout: 60_000, interval: 20 };

function startDaemon(): Promise<KubeArmorNode> {
  return startNode({ keepalive: KEEPALIVE.daemon });
}

/** Starts a node and reads it. */
async function readNode(uid = "uid-a") {
  const a = await startDaemon();
  const running = runNodes();
  running.pods.onNode(createTarget(uid, "node-a", a.address));
  running.pods.onListed();
  await expect.poll(() => running.listener.count("connected"), PATIENCE).toBe(1);
  return { a, ...running };
}

describe("nodes", () => {
  it("lose none of 10,000 alerts that 200 of them raise at once", async () => {
    const daemons = await Promise.all(Array.from({ length: 200 }, startDaemon));
    const { source, listener, pods } = runNodes();
    for (const [i, { address }] of daemons.entries()) pods.onNode(createTarget(`uid-${i}`, `node-${i}`, address));
    pods.onListed();
    await expect.poll(() => listener.count("connected"), PATIENCE).toBe(1);
    expect(source.nodes).toEqual({ desired: 200, connected: 200 });
    await Promise.all(daemons.map((each) => each.waitForClients()));
    for (const [i, each] of daemons.entries()) {
      for (let n = 0; n < 50; n++) each.pushRaw(encodeAlert(makeAlert({ HostName: `node-${i}`, PodName: `pod-${n}` })));
    }
    await expect.poll(() => listener.count("alert"), PATIENCE).toBe(10_000);
    const seen = new Set(listener.alerts.map(({ HostName, PodName }) => `${HostName} ${PodName}`));
    expect(seen.size).toBe(10_000);
    expect(listener.disconnects).toEqual([]);
    for (const each of daemons) expect(each.getStats()).toMatchObject({ dropped: 0, clientsSeen: 1 });
  });

  it("are dialed a few at a time", async () => {
    const silent = await Promise.all(Array.from({ length: 30 }, () => startTcpServer((socket) => socket.resume())));
    const { pods } = runNodes({ maxConnecting: 5 });
    for (const [i, { address }] of silent.entries()) pods.onNode(createTarget(`uid-${i}`, `node-${i}`, address));
    const open = () => silent.filter(({ sockets }) => sockets.size > 0).length;
    await expect.poll(open, PATIENCE).toBe(5);
  });

  it("are followed through a restart, a new address and a deletion, and each loss is one gap", async () => {
    const [a, b] = [await startDaemon(), await startDaemon()];
    const { source, listener, pods } = runNodes();
    pods.onNode(createTarget("uid-a", "node-a", a.address));
    pods.onNode(createTarget("uid-b", "node-b", b.address));
    pods.onListed();
    await expect.poll(() => listener.count("connected"), PATIENCE).toBe(1);

    await a.stop();
    await expect.poll(() => listener.count("disconnected"), PATIENCE).toBe(1);
    expect(listener.disconnects[0]).toMatchObject({
      reason: "node_down",
      nodes: 1,
      message: expect.stringMatching(/^node node-a: /),
    });
    expect(source.nodes).toEqual({ desired: 2, connected: 1 });
    await a.start();
    await expect.poll(() => listener.count("connected"), PATIENCE).toBe(2);

    const moved = await startDaemon();
    pods.onNode(createTarget("uid-a", "node-a", moved.address));
    await expect.poll(() => listener.count("connected"), PATIENCE).toBe(3);
    expect(listener.count("disconnected")).toBe(2);
    await expect.poll(() => a.getStats().clients, PATIENCE).toBe(0);

    pods.onGone("uid-b");
    expect(listener.count("disconnected")).toBe(3);
    await expect.poll(() => b.getStats().clients, PATIENCE).toBe(0);
  });

  it("have one stream, also while an old pod and a new one share the address", async () => {
    const { a, listener, pods } = await readNode("uid-old");
    pods.onNode(createTarget("uid-new", "node-a", a.address));
    await expect.poll(() => listener.count("connected"), PATIENCE).toBe(2);
    await expect.poll(() => a.getStats().clients, PATIENCE).toBe(1);
    expect(a.getStats().clientsSeen).toBe(2);
    pods.onGone("uid-old");
    expect(listener.count("disconnected")).toBe(1);
  });

  it("are read again by the old pod's stream where the new pod at its address is gone", async () => {
    const { a, source, pods } = await readNode("uid-old");
    pods.onNode(createTarget("uid-new", "node-b", a.address));
    await expect.poll(() => a.getStats().clientsSeen, PATIENCE).toBe(2);
    // As the API server lists it again.
    pods.onNode(createTarget("uid-old", "node-a", a.address));
    pods.onGone("uid-new");
    await expect.poll(() => a.getStats(), PATIENCE).toMatchObject({ clients: 1, clientsSeen: 3 });
    await expect.poll(() => source.nodes.connected, PATIENCE).toBe(1);
  });

  it("are named with the reason while a new one is not read", async () => {
    const { source, listener, pods } = await readNode();
    expect(source.problem).toBeUndefined();
    const other = await startTcpServer((socket) => socket.end("220 mail ready\r\n"));
    pods.onNode(createTarget("uid-b", "node-b", other.address));
    await expect.poll(() => source.problem, PATIENCE).toMatch(/^node node-b: (?!not connected yet)/);
    expect(listener.count("disconnected")).toBe(0);
  });

  it("are tried at each of their addresses", async () => {
    const gone = await startDaemon();
    await gone.stop();
    const a = await startDaemon();
    const { source, pods } = runNodes();
    pods.onNode(createTarget("uid-a", "node-a", gone.address, a.address));
    await expect.poll(() => source.nodes, PATIENCE).toEqual({ desired: 1, connected: 1 });
  });

  it("are named where something else answers at their address", async () => {
    const web = await startTcpServer((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const { a, source, listener, pods } = await readNode();
    await a.stop();
    pods.onNode(createTarget("uid-a", "node-a", web.address));
    await expect.poll(() => listener.count("disconnected"), PATIENCE).toBe(1);
    expect(listener.disconnects[0]?.message).toMatch(/^node node-a: /);
    expect(source.nodes.connected).toBe(0);
  });
});
