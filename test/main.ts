// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm test`: gets the real parts, then lints, type-checks and runs every test. The last line is the runner's count.
// Arguments go to vitest: `npm test -- test/unit` runs a part.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const args = process.argv.slice(2);
const bin = (name: string) => join(import.meta.dirname, "..", "node_modules", ".bin", name);

/** Building the real parts takes the longest, some 15 minutes; a step that hangs must not take all of CI's time. */
const MAX_STEP_MS = 60 * 60_000;

function step(name: string, command: string, ...rest: string[]): boolean {
  process.stdout.write(`\n== ${name}\n`);
  const { status } = spawnSync(command, rest, { stdio: "inherit", timeout: MAX_STEP_MS });
  if (status !== 0) process.stdout.write(`== ${name} failed\n`);
  return status === 0;
}

interface Counts {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
  /** One per file; one that fails before its first test has no failed test. */
  testResults: { status: string }[];
}

function runTests(): { ok: boolean; line: string } {
  const folder = mkdtempSync(join(tmpdir(), "pvo-test-"));
  const results = join(folder, "results.json");
  try {
    const ok = step(
      "tests",
      bin("vitest"),
      "run",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${results}`,
      ...args,
    );
    const counts = JSON.parse(readFileSync(results, "utf8")) as Counts;
    const { numPassedTests, numPendingTests, numTodoTests } = counts;
    const failedFiles = counts.testResults.filter(({ status }) => status === "failed").length;
    const failed = Math.max(counts.numFailedTests, failedFiles);
    const line = `${numPassedTests} passed, ${failed} failed, ${numPendingTests + numTodoTests} skipped`;
    return { ok: ok && counts.success, line };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const checks = [
  step("real parts", process.execPath, join(import.meta.dirname, "parts", "main.ts")) || !process.env["CI"],
  step("format and lint", bin("biome"), "check", "--error-on-warnings"),
  step("types", bin("tsc"), "--noEmit"),
];
const { ok, line } = runTests();
// Its ratios are for people to look at: how fast a machine is decides nothing here.
if (process.env["CI"] && args.length === 0) {
  const bench = join(import.meta.dirname, "..", "bench", "main.ts");
  step("benchmark, quick: to be read, not judged", process.execPath, bench, "--quick");
}
process.stdout.write(`\n${line}\n`);
process.exit(ok && checks.every(Boolean) ? 0 : 1);
