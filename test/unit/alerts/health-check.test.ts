// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import type { ServiceError } from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { watchHealth } from "../../../src/alerts/health-check.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const START_MS = 1_000_000;

function setUp() {
  const clock = new FakeClock(START_MS);
  const log: string[] = [];
  const note = (what: string) => log.push(`${clock.nowMs() - START_MS} ${what}`);
  const calls: { answer: (error: ServiceError | null) => void }[] = [];
  const state = { lastReadMs: 0 };
  const stop = watchHealth({
    check(answer) {
      note("asked");
      calls.push({ answer });
      return () => note("cancelled");
    },
    clock,
    intervalMs: 30_000,
    timeoutMs: 10_000,
    lastReadMs: () => state.lastReadMs,
    onHealthy: () => note("healthy"),
    onFailed: (message) => note(`failed: ${message}`),
  });
  const answerLast = (error: ServiceError | null) => calls.at(-1)?.answer(error);
  return { clock, log, stop, state, answerLast };
}

function createFailure(code: status, details: string): ServiceError {
  const message = `${code} ${status[code]}: ${details}`;
  return Object.assign(new Error(message), { code, details, metadata: new Metadata() });
}

it("asks at once, and again an interval after each answer", async () => {
  const { clock, log, answerLast } = setUp();
  await clock.advance(2_000);
  answerLast(null);
  await clock.advance(30_000);
  answerLast(null);
  await clock.advance(29_999);
  expect(log).toEqual(["0 asked", "2000 healthy", "32000 asked", "32000 healthy"]);
});

it("fails once, and asks no more, when there is no answer in time", async () => {
  const { clock, log, answerLast } = setUp();
  await clock.advance(9_999);
  expect(log).toEqual(["0 asked"]);
  await clock.advance(100_000);
  answerLast(null);
  expect(log.filter((line) => !line.endsWith("cancelled"))).toEqual([
    "0 asked",
    "10000 failed: HealthCheck had no answer within 10000 ms",
  ]);
  expect(log).toContain("10000 cancelled");
  expect(clock.pending).toBe(0);
});

it("fails at an error at once", async () => {
  const { clock, log, answerLast } = setUp();
  await clock.advance(5);
  answerLast(createFailure(status.UNAVAILABLE, "connection refused"));
  await clock.advance(100_000);
  expect(log).toEqual(["0 asked", "5 cancelled", "5 failed: HealthCheck failed: 14 UNAVAILABLE: connection refused"]);
});

it("takes a service without HealthCheck for healthy", () => {
  const { log, answerLast } = setUp();
  answerLast(createFailure(status.UNIMPLEMENTED, "unknown method"));
  expect(log).toEqual(["0 asked", "0 healthy"]);
});

it("takes a message since the question for a late answer", async () => {
  const { clock, log, state } = setUp();
  await clock.advance(1);
  state.lastReadMs = clock.nowMs();
  await clock.advance(39_999);
  expect(log).toEqual(["0 asked", "10000 cancelled", "10000 healthy", "40000 asked"]);
  await clock.advance(10_000);
  expect(log.slice(4)).toEqual([
    "50000 cancelled",
    "50000 cancelled",
    "50000 failed: HealthCheck had no answer within 10000 ms",
  ]);
});

it("reports nothing after the stop", async () => {
  const { clock, log, stop, answerLast } = setUp();
  stop();
  answerLast(null);
  await clock.advance(100_000);
  expect(log).toEqual(["0 asked", "0 cancelled"]);
});
