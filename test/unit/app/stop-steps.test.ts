// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { StopSteps } from "../../../src/app/stop-steps.ts";
import { type Logger, silentLogger } from "../../../src/lib/logger.ts";

test("steps run once, the last registered first, also when some fail", async () => {
  const failed: object[] = [];
  const logger: Logger = { ...silentLogger, error: (fields) => void failed.push(fields) };
  const steps = new StopSteps(logger);
  const ran: string[] = [];
  const bug = new Error("bug");
  steps.onStop("first", async () => void ran.push("first"));
  steps.onStop("second", () => {
    throw bug;
  });
  steps.onStop("third", () => Promise.resolve().then(() => ran.push("third")));
  await steps.run();
  await steps.run();
  expect(ran).toEqual(["third", "first"]);
  expect(failed).toEqual([{ err: bug, step: "second" }]);
});

test("a program that fails has its steps run, one that ends has not", async () => {
  const steps = new StopSteps(silentLogger);
  const ran: string[] = [];
  steps.onStop("port", () => void ran.push("port"));
  await expect(steps.cover(() => Promise.resolve(7))).resolves.toBe(7);
  expect(ran).toEqual([]);
  const bug = new Error("the address is in use");
  await expect(steps.cover(() => Promise.reject(bug))).rejects.toBe(bug);
  expect(ran).toEqual(["port"]);
});
