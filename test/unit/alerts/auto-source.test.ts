// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import type { AlertListener, AlertSource } from "../../../src/alerts/alert-source.ts";
import { AutoSource } from "../../../src/alerts/auto-source.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { RecordingListener } from "./recording-listener.ts";

class ScriptedSource implements AlertSource {
  nodes = { desired: 2, connected: 0 };
  problem: string | undefined;
  listener: AlertListener | undefined;
  isRunning = false;

  async run(listener: AlertListener, signal: AbortSignal): Promise<void> {
    this.listener = listener;
    this.isRunning = true;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.isRunning = false;
  }
}

function setUp() {
  const clock = new FakeClock(1_000_000);
  const [nodes, relay] = [new ScriptedSource(), new ScriptedSource()];
  const source = new AutoSource(nodes, relay, clock, silentLogger);
  const listener = new RecordingListener();
  const stop = new AbortController();
  const running = source.run(listener, stop.signal);
  return { clock, nodes, relay, source, listener, stop, running };
}

it("reads nodes where at least one is connected", async () => {
  const { clock, nodes, relay, source, listener, stop, running } = setUp();
  nodes.nodes = { desired: 2, connected: 1 };
  nodes.listener?.onConnected();
  await clock.advance(600_000);
  expect(listener.received).toEqual([{ kind: "connected" }]);
  expect(relay.isRunning).toBe(false);
  expect(source.nodes).toEqual({ desired: 2, connected: 1 });
  stop.abort();
  await running;
  expect(relay.listener).toBeUndefined();
});

it.each([
  ["no node is connected", 0],
  ["the pods can't be listed", 60_000],
])("reads the relay where %s", async (_, ms) => {
  const { clock, nodes, relay, source, listener, stop, running } = setUp();
  if (ms === 0) nodes.listener?.onConnected();
  await clock.advance(ms);
  expect([nodes.isRunning, relay.isRunning]).toEqual([false, true]);
  nodes.listener?.onConnected();
  expect(listener.received).toEqual([]);
  expect(source.nodes).toBeUndefined();
  relay.listener?.onConnected();
  expect(listener.count("connected")).toBe(1);
  stop.abort();
  await running;
});
