// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm test`: gets the real parts, then lints, type-checks and runs every test. The last line is the runner's count.
// Arguments go to vitest: `npm test -- test/unit` runs a part. In CI the tests on a real node follow by themselves, since
// nothing else may run next to a node on a small machine; elsewhere `npm run test:node` runs them.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findMachineObstacles } from "./real-node/needs.ts";

const args = process.argv.slice(2);
const locateBin = (name: string) => join(import.meta.dirname, "..", "node_modules", ".bin", name);

/** Building the real parts takes the longest, some 15 minutes; a step that hangs must not take all of CI's time. */
const MAX_STEP_MS = 60 * 60_000;

function runStep(name: string, command: string, ...rest: string[]): boolean {
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

interface Run {
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
}

function runTests(name: string, ...rest: string[]): Run {
  const folder = mkdtempSync(join(tmpdir(), "pvo-test-"));
  const results = join(folder, "results.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
    const ok = runStep(name, locateBin("vitest"), "run", ...reporters, ...rest);
    const counts = JSON.parse(readFileSync(results, "utf8")) as Counts;
    const failedFiles = counts.testResults.filter(({ status }) => status === "failed").length;
    return {
      ok: ok && counts.success,
      passed: counts.numPassedTests,
      failed: Math.max(counts.numFailedTests, failedFiles),
      skipped: counts.numPendingTests + counts.numTodoTests,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isWholeInCi = process.env["CI"] !== undefined && args.length === 0;
// The same tree has the same result, and each change draws another one.
if (process.env["CI"] !== undefined) process.env["PROPERTY_SEED"] ??= deriveSeed();
// The parts of a node take minutes to build, for nothing where the machine can't have one.
const nodeParts = isWholeInCi && findMachineObstacles().length === 0 ? ["--node"] : [];
const checks = [
  runStep("real parts", process.execPath, join(import.meta.dirname, "../tools/parts/main.ts"), ...nodeParts) ||
    !process.env["CI"],
  runStep("format and lint", locateBin("biome"), "check", "--error-on-warnings"),
  runStep("types", locateBin("tsc"), "--noEmit"),
];
const runs = isWholeInCi ? runWholeInCi() : [runTests("tests", ...args)];
// Its ratios are for people to look at: how fast a machine is decides nothing here.
if (isWholeInCi) {
  const bench = join(import.meta.dirname, "../bench/main.ts");
  runStep("benchmark, quick: to be read, not judged", process.execPath, bench, "--quick");
}
const sum = (count: (run: Run) => number) => runs.reduce((total, run) => total + count(run), 0);
const [passed, failed, skipped] = [sum((r) => r.passed), sum((r) => r.failed), sum((r) => r.skipped)];
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exit([...runs.map(({ ok }) => ok), ...checks].every(Boolean) ? 0 : 1);

/** A number of 28 bits from the tree that is checked out; 0 where git does not know it. */
function deriveSeed(): string {
  const { stdout } = spawnSync("git", ["rev-parse", "HEAD^{tree}"], { encoding: "utf8", cwd: import.meta.dirname });
  return String(Number.parseInt((stdout ?? "").slice(0, 7), 16) || 0);
}

function runWholeInCi(): Run[] {
  const tests = runTests("tests", "--exclude", "test/real-node/**");
  process.env["PVO_TEST_NODE"] = "1";
  const onNode = runTests("tests on a real node", "--no-file-parallelism", "test/real-node");
  // To an operator of the benchmark it would be a setting that does not exist.
  delete process.env["PVO_TEST_NODE"];
  return [tests, onNode];
}
