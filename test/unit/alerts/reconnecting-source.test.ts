// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Scripted streams on a fake clock; real streams are in test/integration.

import { expect, it } from "vitest";
import type { StreamEnd, StreamListener } from "../../../src/alerts/reconnecting-source.ts";
import { ReconnectingSource } from "../../../src/alerts/reconnecting-source.ts";
import type { Logger } from "../../../src/lib/logger.ts";
import { makeAlert } from "../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../tools/kubearmor-node/wire.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { RecordingListener } from "./recording-listener.ts";

const START_MS = 1_000_000;
const REFUSED: StreamEnd = { kind: "error", message: "14 UNAVAILABLE: connect ECONNREFUSED 127.0.0.1:1" };
const OK_END: StreamEnd = { kind: "ok_end", message: "the peer ended the stream with status OK" };
const ALERT = encodeAlert(makeAlert());

class Bed {
  readonly clock: FakeClock;
  readonly listener = new RecordingListener();
  readonly logged: { level: string; fields: object }[] = [];
  /** Time of each stream's opening, since the start. */
  readonly openedMs: number[] = [];
  readonly stop = new AbortController();
  readonly source: ReconnectingSource;
  readonly running: Promise<void>;
  /** The listener of the stream that is open now. */
  stream: StreamListener | undefined;
  end: (end: StreamEnd) => void = () => {};

  constructor(seed = 1) {
    this.clock = new FakeClock(START_MS, seed);
    const log = (level: string) => (fields: object) => void this.logged.push({ level, fields });
    const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
    this.source = new ReconnectingSource(
      (listener, signal) => {
        this.openedMs.push(this.clock.nowMs() - START_MS);
        this.stream = listener;
        return new Promise((resolve) => {
          this.end = resolve;
          signal.addEventListener("abort", () => resolve({ kind: "error", message: "1 CANCELLED" }));
        });
      },
      { name: "relay:32767", backoffBaseMs: 250, backoffMaxMs: 10_000 },
      this.clock,
      logger,
    );
    this.running = this.source.run(this.listener, this.stop.signal);
  }

  sendHeartbeat(): void {
    this.stream?.onAlive(this.clock.nowMs());
  }

  sendMessage(bytes: Buffer): void {
    this.stream?.onMessage(bytes, this.clock.nowMs());
  }

  /** Ends the stream and lets the longest pause pass, within which the next one is opened. */
  async endAndReopen(end: StreamEnd): Promise<void> {
    const before = this.openedMs.length;
    this.end(end);
    await this.clock.advance(10_000);
    expect(this.openedMs).toHaveLength(before + 1);
  }

  count(level: string): number {
    return this.logged.filter((line) => line.level === level).length;
  }
}

it("reports onConnected once, at the first health answer, and delivers alerts", () => {
  const bed = new Bed();
  expect(bed.listener.received).toEqual([]);
  expect(bed.source.state).toEqual({ kind: "connecting", sinceMs: bed.clock.monotonicMs(), attempt: 0 });
  bed.sendHeartbeat();
  expect(bed.source.state).toEqual({ kind: "open", sinceMs: bed.clock.monotonicMs(), attempt: 0 });
  bed.sendMessage(ALERT);
  bed.sendHeartbeat();
  expect(bed.listener.received.map((t) => t.kind)).toEqual(["connected", "alert"]);
  expect(bed.listener.alerts[0]?.PolicyName).toBe("block-pkg-mgmt-tools-exec");
  expect(bed.source.stats).toEqual({ messages: 1, bytes: ALERT.length, attempts: 1, connects: 1 });
});

it("reports onConnected at a first message, before the alert", () => {
  const bed = new Bed();
  bed.sendMessage(ALERT);
  expect(bed.listener.received.map((t) => t.kind)).toEqual(["connected", "alert"]);
});

it("rejects bytes that are not an alert without their content, and continues", () => {
  const bed = new Bed();
  bed.sendMessage(Buffer.from("\x6a\x50secret"));
  bed.sendMessage(ALERT);
  expect(bed.listener.rejections).toEqual([
    { reason: "invalid_wire", detail: "8 bytes that begin with field 13 of wire type 2", line: 0 },
  ]);
  expect(bed.listener.count("alert")).toBe(1);
  expect(bed.source.stats.messages).toBe(2);
});

it("reports when it last read", async () => {
  const bed = new Bed();
  bed.sendHeartbeat();
  await bed.clock.advance(5_000);
  bed.sendMessage(ALERT);
  await bed.clock.advance(20_000);
  await bed.endAndReopen({ kind: "error", message: "14 UNAVAILABLE: read\u0000ECONNRESET" });
  expect(bed.listener.disconnects).toEqual([
    {
      lastReadMs: START_MS + 5_000,
      atMs: START_MS + 25_000,
      reason: "error",
      message: "14 UNAVAILABLE: read ECONNRESET",
    },
  ]);
});

it("treats an end with OK as a disconnect", async () => {
  const bed = new Bed();
  bed.sendHeartbeat();
  await bed.endAndReopen(OK_END);
  expect(bed.listener.disconnects.map((d) => [d.reason, d.message])).toEqual([
    ["ok_end", "the peer ended the stream with status OK"],
  ]);
});

it("reports a failed health check as watchdog only when the stream was open", async () => {
  const bed = new Bed();
  const failed: StreamEnd = { kind: "watchdog", message: "HealthCheck had no answer within 10000 ms" };
  await bed.endAndReopen(failed);
  bed.sendHeartbeat();
  await bed.endAndReopen(failed);
  expect(bed.listener.disconnects.map((d) => d.reason)).toEqual(["connect_failed", "watchdog"]);
});

it("rejects a message that is too large, once, before the disconnect", async () => {
  const bed = new Bed();
  const message = "8 RESOURCE_EXHAUSTED: Received message larger than max (5000000 vs 4194304)";
  await bed.endAndReopen({ kind: "message_too_large", message });
  expect(bed.listener.received).toEqual([
    { kind: "connected" },
    { kind: "rejected", reason: "message_too_large", detail: message, line: 0 },
    { kind: "disconnected", disconnect: { lastReadMs: START_MS, atMs: START_MS, reason: "error", message } },
  ]);
  expect(bed.source.stats.messages).toBe(1);
});

it("waits at random between nothing and a limit that doubles up to its own limit", async () => {
  const limits = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000];
  const longest = limits.map(() => 0);
  for (let seed = 1; seed <= 40; seed++) {
    const bed = new Bed(seed);
    for (const [attempt, limitMs] of limits.entries()) {
      expect(bed.source.state).toMatchObject({ kind: "connecting", attempt });
      const endedMs = bed.clock.nowMs() - START_MS;
      await bed.endAndReopen(REFUSED);
      const waitMs = (bed.openedMs.at(-1) ?? Number.NaN) - endedMs;
      expect(waitMs).toBeLessThanOrEqual(limitMs);
      longest[attempt] = Math.max(longest[attempt] ?? 0, waitMs);
    }
    bed.stop.abort();
    await bed.running;
  }
  // Of 40 draws one is in the upper half, but for one seed in 10^12.
  for (const [attempt, limitMs] of limits.entries()) expect(longest[attempt]).toBeGreaterThan(limitMs / 2);
});

it("resets the back-off only after a stream that has lasted", async () => {
  const bed = new Bed();
  for (let i = 0; i < 5; i++) await bed.endAndReopen(REFUSED);
  bed.sendHeartbeat();
  await bed.clock.advance(9_000);
  await bed.endAndReopen(REFUSED);
  expect(bed.source.state.attempt).toBe(6);
  bed.sendHeartbeat();
  await bed.clock.advance(10_000);
  bed.end(REFUSED);
  await bed.clock.advance(0);
  expect(bed.source.state).toMatchObject({ kind: "waiting", attempt: 0 });
});

it.each([
  ["ahead, after a stream that has not lasted", 3_600_000, 9_000, 6],
  ["back, after a stream that has lasted", -3_600_000, 10_000, 0],
])("judges how long a stream lasted without the wall clock, set %s", async (_what, stepMs, lastedMs, attempt) => {
  const bed = new Bed();
  for (let i = 0; i < 6; i++) await bed.endAndReopen(REFUSED);
  bed.sendHeartbeat();
  bed.clock.stepWall(stepMs);
  await bed.clock.advance(lastedMs);
  bed.end(REFUSED);
  await bed.clock.advance(0);
  expect(bed.source.state).toMatchObject({ kind: "waiting", attempt });
});

it("retries forever", async () => {
  const bed = new Bed();
  for (let i = 0; i < 100; i++) await bed.endAndReopen(REFUSED);
  bed.sendMessage(ALERT);
  expect(bed.listener.disconnects.map((d) => d.reason)).toEqual(Array(100).fill("connect_failed"));
  expect(bed.listener.count("connected")).toBe(1);
  expect(bed.listener.count("alert")).toBe(1);
});

it("logs an outage once and its end once, with its length", async () => {
  const bed = new Bed();
  for (let i = 0; i < 20; i++) await bed.endAndReopen(REFUSED);
  bed.sendHeartbeat();
  const openedMs = bed.clock.nowMs() - START_MS;
  expect(bed.count("warn")).toBe(1);
  expect(bed.logged.filter(({ level }) => level === "info")).toEqual([
    { level: "info", fields: { peer: "relay:32767", tookMs: openedMs, retries: 20 } },
  ]);
  await bed.clock.advance(3_600_000);
  await bed.endAndReopen(REFUSED);
  bed.sendHeartbeat();
  expect(bed.count("warn")).toBe(2);
  expect(bed.count("info")).toBe(2);
});

it("explains the third end with OK in a row, and does not log flapping", async () => {
  const bed = new Bed();
  for (let i = 0; i < 30; i++) {
    bed.sendHeartbeat();
    await bed.endAndReopen(OK_END);
  }
  const messages = bed.listener.disconnects.map((d) => d.message);
  expect(messages).toHaveLength(30);
  expect(messages.slice(0, 2)).toEqual(Array(2).fill("the peer ended the stream with status OK"));
  expect(new Set(messages.slice(2))).toEqual(
    new Set([
      "the peer ended the stream with status OK, repeatedly right after the opening: KubeArmor does this when it refuses the filter, its relay when it fails to send",
    ]),
  );
  expect(bed.count("warn")).toBe(2);
  expect(bed.count("info")).toBe(2);
});

it("stops while it waits and while a stream is open, and reports neither", async () => {
  const open = new Bed();
  open.sendHeartbeat();
  open.stop.abort();
  await open.running;
  expect(open.listener.received.map((t) => t.kind)).toEqual(["connected"]);

  const waiting = new Bed();
  waiting.end(REFUSED);
  await waiting.clock.advance(0);
  expect(waiting.source.state.kind).toBe("waiting");
  waiting.stop.abort();
  await waiting.running;
  expect(waiting.openedMs).toHaveLength(1);
  expect(waiting.clock.pending).toBe(0);
});

it("ignores messages of a stream that has ended", async () => {
  const bed = new Bed();
  bed.sendHeartbeat();
  const late = bed.stream;
  bed.end(REFUSED);
  await bed.clock.advance(0);
  late?.onAlive(bed.clock.nowMs());
  expect(bed.source.state.kind).toBe("waiting");
  bed.stop.abort();
  await bed.running;
  late?.onAlive(bed.clock.nowMs());
  expect(bed.source.state.kind).toBe("stopped");
  expect(bed.listener.received.map((t) => t.kind)).toEqual(["connected", "disconnected"]);
});
