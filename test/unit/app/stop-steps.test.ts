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
