// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The node server as a process: its lines on stdout, its exit, what a client receives from it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import { afterEach, expect, it, vi } from "vitest";
import { dial, type LogServiceClient, type Watched } from "./log-service-client.ts";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const MAIN = fileURLToPath(new URL("../../../../tools/kubearmor-node/main.ts", import.meta.url));

interface Program {
  child: ChildProcess;
  address: string;
  /** The next line on stdout. */
  line(): Promise<Record<string, unknown>>;
  exitCode: Promise<number | null>;
}

const children: ChildProcess[] = [];
const clients: LogServiceClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
});

async function run(...args: string[]): Promise<Program> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const exitCode = once(child, "exit").then(([code]) => code as number | null);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async () => JSON.parse((await lines.next()).value ?? "null") as Record<string, unknown>;
  const { listening } = await line();
  return { child, address: String(listening), line, exitCode };
}

function watch(program: Program): Watched {
  const client = dial(program.address);
  clients.push(client);
  return client.watch("WatchAlerts", "policy");
}

it("waits for a client, sends the samples once as they are, ends the stream with OK and exits", async () => {
  const program = await run("--once", "--wait-for-client", "--end-when-done");
  expect(program.address).toMatch(/^127\.0\.0\.1:\d+$/);
  const stream = watch(program);
  expect((await stream.ended).code).toBe(status.OK);
  expect(stream.alerts).toHaveLength(26);
  expect(stream.alerts[0]).toMatchObject({
    UpdatedTime: "2023-06-11T09:19:43.451704Z",
    PolicyName: "block-pkg-mgmt-tools-exec",
  });
  const counts = { pushed: 26, unheard: 0, offered: 26, sent: 26, dropped: 0, queued: 0, abandoned: 0 };
  expect(await program.line()).toMatchObject({ reason: "done", ...counts });
  expect(await program.line()).toMatchObject({ reason: "exit", ...counts, clients: 0 });
  expect(await program.exitCode).toBe(0);
});

it("at a rate goes round the samples with fresh times until SIGTERM, and answers SIGUSR2", async () => {
  const startMs = Date.now();
  const program = await run("--rate", "500", "--wait-for-client", "--spread");
  const stream = watch(program);
  await stream.received(60);
  program.child.kill("SIGUSR2");
  const stats = await program.line();
  expect(stats).toMatchObject({ reason: "signal", clients: 1, dropped: 0 });
  expect(stats["offered"]).toBeGreaterThanOrEqual(60);
  for (const alert of stream.alerts) expect(Date.parse(alert.UpdatedTime!)).toBeGreaterThanOrEqual(startMs - 1);
  expect(new Set(stream.alerts.map((alert) => alert.UpdatedTime)).size).toBe(stream.alerts.length);
  program.child.kill("SIGTERM");
  expect(await program.line()).toMatchObject({ reason: "exit" });
  expect(await program.exitCode).toBe(0);
  expect((await stream.ended).code).toBe(status.UNAVAILABLE);
});

it("stays after the last alert until its parent's pipe closes", async () => {
  const program = await run("--count", "30", "--wait-for-client", "--die-with-parent");
  const stream = watch(program);
  await stream.received(30);
  expect(await program.line()).toMatchObject({ reason: "done", sent: 30 });
  expect(program.child.exitCode).toBeNull();
  program.child.stdin!.end();
  expect(await program.line()).toMatchObject({ reason: "exit", sent: 30 });
  expect(await program.exitCode).toBe(0);
});

it.each([
  ["--count", "none"],
  ["--rate", "-1"],
  ["--listen", "nowhere"],
  ["--keepalive", "never"],
  ["--stay", "--end-when-done"],
  ["--no-such-option", "1"],
])("refuses %s %s", async (...args) => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const [[code], stderr] = await Promise.all([once(child, "close"), text(child.stderr)]);
  expect(code).toBe(2);
  expect(stderr).toContain("usage:");
});
