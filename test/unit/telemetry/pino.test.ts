// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { createLogger, type LogLevel } from "../../../src/telemetry/pino.ts";

function captureLines(level?: LogLevel) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const log = createLogger(level === undefined ? { stream } : { stream, level });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? "null") as Record<string, unknown> };
}

test("a line is one JSON object with level, time, fields and message, and nothing else", () => {
  const { log, lines, last } = captureLines();
  log.info({ report: "a\nb", count: 3 }, "report written");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\{.*\}\n$/);
  const { time, ...rest } = last();
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(rest).toEqual({ level: "info", report: "a\nb", count: 3, msg: "report written" });
});

test.each([
  ["debug", ["debug", "info", "warn", "error"]],
  ["info", ["info", "warn", "error"]],
  ["warn", ["warn", "error"]],
  ["error", ["error"]],
] as const)("level %s writes %j", (level, written) => {
  const { log, lines } = captureLines(level);
  log.debug({}, "m");
  log.info({}, "m");
  log.warn({}, "m");
  log.error({}, "m");
  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(written);
});

test("an error is its name, message, code and causes; a request on it is not written", () => {
  const { log, lines, last } = captureLines();
  const socket = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const failure = Object.assign(new Error("write failed", { cause: socket }), {
    code: 503,
    request: { headers: { authorization: "Bearer hunter2" } },
  });
  log.warn({ err: failure }, "report not written");
  expect(last()["err"]).toEqual({
    name: "Error",
    message: "write failed",
    code: 503,
    cause: { name: "Error", message: "connect ECONNREFUSED", code: "ECONNREFUSED" },
  });
  expect(lines[0]).not.toContain("hunter2");
});

test("a bug keeps its stack, an error of a class of its own does not", () => {
  class SinkError extends Error {
    override name = "SinkError";
  }
  const { log, last } = captureLines();
  log.error({ err: new TypeError("x is not a function") }, "m");
  expect(last()["err"]).toMatchObject({ name: "TypeError", stack: expect.stringContaining("pino.test.ts") as string });
  log.error({ err: new SinkError("refused") }, "m");
  expect(last()["err"]).toEqual({ name: "SinkError", message: "refused" });
});

test("what is thrown may be anything", () => {
  const { log, last } = captureLines();
  log.error({ err: "text" }, "m");
  expect(last()["err"]).toEqual({ name: "string", message: "text" });
  log.error({ err: undefined }, "m");
  expect(last()["msg"]).toBe("m");
});

test("endless causes and messages are cut", () => {
  const { log, lines, last } = captureLines();
  const loop = Object.assign(new Error("x".repeat(10_000)), { code: "E" });
  loop.cause = loop;
  log.error({ err: loop }, "m");
  expect((last()["err"] as { message: string }).message).toHaveLength(2001);
  expect(lines[0]?.length).toBeLessThan(13_000);
});
