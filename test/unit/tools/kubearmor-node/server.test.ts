// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Over real gRPC on loopback: what a client of KubeArmor's node or relay sees, a client of this server must see.

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../../../tools/kubearmor-node/node.ts";
import { startNode } from "../../../../tools/kubearmor-node/server.ts";
import { dial, type LogServiceClient, type Watched } from "./log-service-client.ts";

let node: KubeArmorNode;
let client: LogServiceClient;

beforeEach(async () => {
  node = await startNode();
  client = dial(node.address);
});

afterEach(async () => {
  client.close();
  await node.stop();
});

async function openStream(): Promise<Watched> {
  const stream = client.watch("WatchAlerts", "policy");
  await node.waitForClients();
  return stream;
}

describe("filters", () => {
  it.each(["", "system", "Policy", "alerts"])("WatchAlerts with %j ends at once with OK", async (filter) => {
    const stream = client.watch("WatchAlerts", filter);
    expect((await stream.ended).code).toBe(status.OK);
    expect(stream.alerts).toEqual([]);
    expect(node.getStats()).toMatchObject({ refused: 1, clientsSeen: 0 });
  });

  it.each(["policy", ""])("WatchLogs with %j ends at once with OK", async (filter) => {
    expect((await client.watch("WatchLogs", filter).ended).code).toBe(status.OK);
    expect(node.getStats()).toMatchObject({ refused: 1, otherStreams: 0 });
  });

  it("keeps WatchLogs and, with any filter, WatchMessages open without alerts", async () => {
    const streams = [
      client.watch("WatchLogs", "system"),
      client.watch("WatchLogs", "all"),
      client.watch("WatchMessages", ""),
    ];
    await vi.waitFor(() => expect(node.getStats().otherStreams).toBe(3));
    node.push(makeAlert());
    expect(node.getStats()).toMatchObject({ pushed: 1, unheard: 1, offered: 0 });
    node.endStreams();
    for (const stream of streams) {
      expect((await stream.ended).code).toBe(status.OK);
      expect(stream.alerts).toEqual([]);
    }
  });
});

it("echoes the nonce of a health check", async () => {
  expect(await client.healthCheck(2_147_483_647)).toBe(2_147_483_647);
  expect(await client.healthCheck(-7)).toBe(-7);
});

describe("streams", () => {
  it("offers every alert to every client, and none to a client that has left", async () => {
    const first = client.watch("WatchAlerts", "policy");
    const second = client.watch("WatchAlerts", "all");
    await node.waitForClients(2);
    node.push([makeAlert({ PID: 1 }), makeAlert({ PID: 2 })]);
    await Promise.all([first.received(2), second.received(2)]);
    first.cancel();
    await vi.waitFor(() => expect(node.getStats().clients).toBe(1));
    node.push(makeAlert({ PID: 3 }));
    await second.received(3);
    await node.waitUntilDrained();
    expect(first.alerts.map((alert) => alert.PID)).toEqual([1, 2]);
    expect(second.alerts.map((alert) => alert.PID)).toEqual([1, 2, 3]);
    expect(node.getStats()).toMatchObject({
      pushed: 3,
      unheard: 0,
      offered: 5,
      sent: 5,
      dropped: 0,
      abandoned: 0,
      clientsSeen: 2,
    });
  });

  it("sends no headers before the first message", async () => {
    const stream = await openStream();
    // Same connection: had headers been sent, they would have come before this answer.
    await client.healthCheck(1);
    expect(stream.headersSeen()).toBe(false);
    node.push(makeAlert());
    await stream.received(1);
    expect(stream.headersSeen()).toBe(true);
  });

  it("ends with the given error", async () => {
    const stream = await openStream();
    node.failStreams(status.UNAVAILABLE, "node is draining");
    expect(await stream.ended).toMatchObject({ code: status.UNAVAILABLE, details: "node is draining" });
  });

  it("carries any bytes as a message", async () => {
    const stream = await openStream();
    // Field 13 (PolicyName), length 3, one byte of which is not UTF-8.
    node.pushRaw(Buffer.from([0x6a, 3, 0x61, 0xff, 0x62]));
    await stream.received(1);
    expect(stream.alerts[0]?.PolicyName).toBe("a\u{fffd}b");
    // Wire type 7 is none; protobufjs, unlike Go, would forgive a length that runs past the end.
    node.pushRaw(Buffer.from([0x0f]));
    expect((await stream.ended).code).toBe(status.INTERNAL);
  });
});

it("pings at its keepalive interval", async () => {
  const pinging = await startNode({ keepalive: { timeMs: 20, timeoutMs: 5_000 } });
  const session = connectHttp2(`http://${pinging.address}`);
  await once(session, "ping");
  await once(session, "ping");
  session.destroy();
  await pinging.stop();
});

describe("stop and start", () => {
  it("stops without a GOAWAY, as a killed process does", async () => {
    const session = connectHttp2(`http://${node.address}`);
    let goaways = 0;
    session.on("goaway", () => {
      goaways += 1;
    });
    session.on("error", () => undefined);
    await once(session, "remoteSettings");
    const closed = once(session, "close");
    await node.stop();
    await closed;
    expect(goaways).toBe(0);
  });

  it("shuts down though a client doesn't read", async () => {
    const stream = await openStream();
    stream.pause();
    await node.flood({ alert: makeAlert({ Source: "x".repeat(8_000) }), count: 500 });
    await node.close(50);
    const { offered, sent, dropped, queued, abandoned } = node.getStats();
    expect({ offered, dropped, queued, sum: sent + abandoned }).toEqual({
      offered: 500,
      dropped: 0,
      queued: 0,
      sum: 500,
    });
    expect(abandoned).toBeGreaterThan(0);
  });

  it("counts what was queued as abandoned", async () => {
    await openStream();
    node.freeze();
    node.push([makeAlert(), makeAlert()]);
    await node.stop();
    expect(node.getStats()).toMatchObject({ offered: 2, sent: 0, queued: 0, abandoned: 2, clients: 0 });
  });

  it("refuses to start twice and to take a port that is taken", async () => {
    await expect(node.start()).rejects.toThrow("started already");
    await expect(startNode({ port: node.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("stops though a peer has never said a word", async () => {
    const socket = connect(node.port, "127.0.0.1").resume();
    const closed = once(socket, "close");
    await once(socket, "connect");
    await client.healthCheck(1);
    await node.stop();
    await closed;
  });
});
