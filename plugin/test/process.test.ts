// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SAMPLE_REPORTS_DIR } from "./session.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const GATE = [MAIN, "gate", "--all", "-o", "json", "--from", SAMPLE_REPORTS_DIR];

describe("standard output", () => {
  test.skipIf(!existsSync("/dev/full"))("that is full ends a list with 3 and the reason", () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [MAIN, "--from", SAMPLE_REPORTS_DIR], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    closeSync(full);
    expect(status).toBe(3);
    expect(stderr).toContain("error: cannot write to standard output: ENOSPC");
  });

  test("that is closed leaves the exit code of a gate that failed", async () => {
    const gate = spawn(process.execPath, GATE, { stdio: ["ignore", "pipe", "ignore"] });
    gate.stdout.destroy();
    expect(await once(gate, "exit")).toEqual([1, null]);
  });
});
