// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The relay source over real gRPC. Waits are for conditions; the short intervals only make them come soon.

import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import type { RelaySourceOptions } from "../../src/alerts/relay-source.ts";
import { makeAlert, readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { serverService } from "../../tools/kubearmor-node/wire.ts";
import { run, startGrpcServer, startNodeForTest, startTcpServer } from "./alerts-bed.ts";

/** Patience for a condition without a listener; a slow machine must not fail. */
const PATIENCE = { timeout: 30_000 };

/** A source with an open stream to a relay. */
async function runConnected(options: Omit<RelaySourceOptions, "address"> = {}) {
  const relay = await startNodeForTest();
  const running = run({ address: relay.address, ...options });
  await running.until(() => running.listener.count("connected") === 1);
  await relay.waitForClients();
  return { relay, ...running };
}

describe("a relay that works", () => {
  it("delivers every alert of the samples as it is, in order", async () => {
    const { relay, listener, logged, until } = await runConnected();
    const samples = readAlerts("samples/alerts.jsonl");
    relay.push(samples);
    await until(() => listener.count("alert") === 26);
    expect(relay.clients.map((client) => client.filter)).toEqual(["policy"]);
    expect(listener.alerts.map((alert) => alert.PolicyName)).toEqual(samples.map((alert) => alert.PolicyName ?? ""));
    expect(listener.alerts[22]).toMatchObject({ Operation: "AlertThreshold", MaxAlertsPerSec: 2 });
    expect(listener.received.map((t) => t.kind)).toEqual(["connected", ...Array(26).fill("alert")]);
    expect(logged).toEqual(["info"]);
  });

  it("loses nothing of 50,000 alerts at full speed from a node that drops for slow clients", async () => {
    const relay = await startNodeForTest({ dropLikeKubeArmor: true });
    const { listener, until, source } = run({ address: relay.address });
    await relay.waitForClients();
    await relay.flood({ alert: makeAlert(), count: 50_000 });
    await relay.waitUntilDrained();
    expect(relay.getStats()).toMatchObject({ pushed: 50_000, sent: 50_000, dropped: 0, unheard: 0 });
    await until(() => source.stats.messages === 50_000);
    expect(new Set(listener.alerts.map((alert) => alert.HostPID)).size).toBe(50_000);
    expect(source.stats).toMatchObject({ messages: 50_000, attempts: 1, connects: 1 });
  });

  it("is left at the abort: the stream and its connection end, and nothing is reported any more", async () => {
    const { relay, listener, stop, source, timers } = await runConnected();
    await stop();
    const received = listener.received.length;
    await expect.poll(() => relay.getStats().clients, PATIENCE).toBe(0);
    relay.push(makeAlert());
    expect(listener.received).toHaveLength(received);
    expect(listener.disconnects).toEqual([]);
    expect(source.stats.attempts).toBe(1);
    expect(timers.size).toBe(0);
  });

  it("reports nothing that was received with the alert at which it is left", async () => {
    const { relay, listener, stop } = await runConnected();
    const stopped = new Promise<void>((resolve) => {
      listener.onReceived = () => listener.count("alert") === 2 && stop().then(resolve);
    });
    relay.push(Array.from({ length: 10 }, () => makeAlert()));
    await stopped;
    expect(listener.count("alert")).toBe(2);
  });

  it("may lack HealthCheck", async () => {
    const { HealthCheck: _, ...service } = serverService;
    const address = await startGrpcServer((server) =>
      server.addService(service, { WatchAlerts() {}, WatchMessages() {}, WatchLogs() {} }),
    );
    const { listener, until } = run({ address });
    await until(() => listener.received.length > 0);
    expect(listener.received).toEqual([{ kind: "connected" }]);
  });
});

describe("a stream that ends", () => {
  it("with OK is a disconnect, and alerts come again after it", async () => {
    const relay = await startNodeForTest();
    const way = await startTcpServer((socket) => {
      const onward = connect(relay.port, "127.0.0.1");
      socket.pipe(onward).pipe(socket);
      onward.on("error", () => socket.destroy());
    });
    const { listener, until, timers } = run({ address: way.address, healthIntervalMs: 5 });
    await until(() => listener.count("connected") === 1);
    await relay.waitForClients();
    relay.push(makeAlert({ PodName: "before" }));
    await until(() => listener.count("alert") === 1);
    relay.endStreams();
    await until(() => listener.count("connected") === 2);
    await relay.waitForClients();
    relay.push(makeAlert({ PodName: "after" }));
    await until(() => listener.count("alert") === 2);
    expect(listener.received.map((t) => t.kind)).toEqual(["connected", "alert", "disconnected", "connected", "alert"]);
    expect(listener.disconnects[0]).toMatchObject({
      reason: "ok_end",
      message: "the peer ended the stream with status OK",
    });
    // Nothing is left of the first stream: neither its connection nor its questions.
    await expect.poll(() => way.sockets.size, PATIENCE).toBe(1);
    expect(timers.size).toBeLessThanOrEqual(1);
  });

  it("because the relay was killed is one broken stream, and opened when the relay is back", async () => {
    const { relay, listener, until, source, logged } = await runConnected();
    relay.push(makeAlert());
    await until(() => listener.count("alert") === 1);
    await relay.stop();
    await until(() => listener.count("disconnected") >= 4);
    expect(source.state.kind).not.toBe("open");
    await relay.start();
    await until(() => listener.count("connected") === 2);
    await relay.waitForClients();
    relay.push(makeAlert());
    await until(() => listener.count("alert") === 2);

    const [first, ...retries] = listener.disconnects;
    expect(first).toMatchObject({ reason: "error", message: expect.stringMatching(/^14 UNAVAILABLE: /) });
    expect(first?.lastReadMs).toBeLessThanOrEqual(first?.atMs ?? 0);
    expect(new Set(retries.map((d) => d.reason))).toEqual(new Set(["connect_failed"]));
    expect(listener.count("connected")).toBe(2);
    expect(source.state.kind).toBe("open");
    expect(logged).toEqual(["info", "warn", "info"]);
  });

  it("because of a message beyond the limit rejects that message and goes on with the next stream", async () => {
    const { relay, listener, until, source } = await runConnected({ maxMessageBytes: 2_000 });
    relay.push(makeAlert({ Message: "x".repeat(3_000) }));
    await until(() => listener.count("connected") === 2);
    await relay.waitForClients();
    relay.push(makeAlert());
    await until(() => listener.count("alert") === 1);
    expect(listener.received.map((t) => t.kind)).toEqual([
      "connected",
      "rejected",
      "disconnected",
      "connected",
      "alert",
    ]);
    expect(listener.rejections).toEqual([
      {
        reason: "message_too_large",
        detail: expect.stringMatching(/^8 RESOURCE_EXHAUSTED: Received message larger than max \(3\d{3} vs 2000\)$/),
        line: 0,
      },
    ]);
    expect(listener.disconnects[0]?.reason).toBe("error");
    expect(source.stats.messages).toBe(2);
  });
});

describe("the watchdog", () => {
  it("ends the stream of a relay that is frozen, and alerts come again when it thaws", async () => {
    const { relay, listener, until } = await runConnected({ healthIntervalMs: 20, healthTimeoutMs: 1_500 });
    relay.freeze();
    await until(() => listener.count("disconnected") >= 2);
    expect(listener.disconnects.slice(0, 2).map((d) => [d.reason, d.message])).toEqual([
      ["watchdog", "HealthCheck had no answer within 1500 ms"],
      ["connect_failed", "HealthCheck had no answer within 1500 ms"],
    ]);
    relay.thaw();
    await until(() => listener.count("connected") === 2);
    await relay.waitForClients();
    relay.push(makeAlert());
    await until(() => listener.count("alert") === 1);
  });

  it("keeps asking a relay that answers, on the one connection", async () => {
    const relay = await startNodeForTest();
    const { listener, until } = run({ address: relay.address, healthIntervalMs: 5 });
    await until(() => listener.count("connected") === 1);
    await expect.poll(() => relay.getStats().healthChecks, PATIENCE).toBeGreaterThanOrEqual(5);
    expect(listener.received).toEqual([{ kind: "connected" }]);
    expect(relay.getStats().clientsSeen).toBe(1);
  });
});
