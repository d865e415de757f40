// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The relay source at addresses where no relay is, or not yet.

import { describe, expect, it } from "vitest";
import { run, startNodeForTest, startTcpServer } from "./alerts-bed.ts";

describe("an address", () => {
  it("without a listener is tried until there is one", async () => {
    const relay = await startNodeForTest();
    await relay.stop();
    const { listener, until, logged } = run({ address: relay.address });
    await until(() => listener.count("disconnected") >= 5);
    await relay.start();
    await until(() => listener.count("connected") === 1);
    expect(listener.disconnects[0]).toMatchObject({
      reason: "connect_failed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(logged).toEqual(["warn", "info"]);
  });

  it("that has no name in DNS is tried again and logged once", async () => {
    const { listener, until, logged } = run({ address: "no-such-host.invalid:32767" });
    await until(() => listener.count("disconnected") >= 3);
    expect(new Set(listener.disconnects.map((d) => d.reason))).toEqual(new Set(["connect_failed"]));
    expect(listener.disconnects[0]?.message).toMatch(/^14 UNAVAILABLE: .*resolution failed/);
    expect(logged).toEqual(["warn"]);
  });

  it("of something that accepts and says nothing is given up after the deadline, connection and all", async () => {
    const peer = await startTcpServer((socket) => socket.resume());
    const { listener, until } = run({ address: peer.address, healthTimeoutMs: 100 });
    await until(() => listener.count("disconnected") >= 5);
    expect(listener.disconnects[0]).toMatchObject({
      reason: "connect_failed",
      message: "HealthCheck had no answer within 100 ms",
    });
    expect(listener.count("connected")).toBe(0);
    // That of the attempt under way may be there; those before it must be gone.
    await expect.poll(() => peer.sockets.size, { timeout: 30_000 }).toBeLessThanOrEqual(1);
  });

  it("of something that speaks another protocol is dialed again at each attempt", async () => {
    let dials = 0;
    const peer = await startTcpServer((socket) => {
      dials++;
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const { listener, until, source } = run({ address: peer.address, healthTimeoutMs: 5_000 });
    await until(() => listener.count("disconnected") >= 10);
    expect(listener.disconnects[0]?.reason).toBe("connect_failed");
    // The library's own back-off must not stand between ours and the network.
    expect(dials).toBeGreaterThanOrEqual(source.stats.attempts - 1);
  });
});
