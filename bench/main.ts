// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run bench`: runs the scenarios one after the other, and writes what they found. See --help.
// Invariant: it ends with 0 however slow things are, and with 1 when something could not be measured for an error.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getErrorMessage } from "../src/lib/error-message.ts";
import { bundle } from "../tools/bundle.ts";
import { type Cluster, findClusterObstacle, startCluster } from "../tools/cluster/cluster.ts";
import { removeAtOurEnd } from "../tools/cluster/process.ts";
import { SCENARIOS } from "./scenarios.ts";
import { ensureAlertSource } from "./support/alert-source.ts";
import { type BenchArguments, describeUsage, parseBenchArguments } from "./support/arguments.ts";
import { JsonProcess } from "./support/json-process.ts";
import { readMachineFacts } from "./support/machine.ts";
import { BenchOperator } from "./support/operator.ts";
import { formatRow, type Outcome, renderResultsPage, renderTable } from "./support/results.ts";
import { type Bench, type Scenario, Skipped } from "./support/scenario.ts";

const ROOT = join(import.meta.dirname, "..");
const NAMES = SCENARIOS.map(({ name }) => name);

const print = (line: string) => void process.stdout.write(`${line}\n`);

function parseArgumentsOrExit(): BenchArguments {
  const argv = process.argv.slice(2);
  if (argv.includes("--help")) {
    print(describeUsage(NAMES));
    process.exit(0);
  }
  try {
    return parseBenchArguments(argv, NAMES);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${describeUsage(NAMES)}\n`);
    process.exit(2);
  }
}

function makeOnce<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** After so much of a quick run no further scenario begins, however slow the machine is. */
const QUICK_MS = 90_000;

async function measure(scenario: Scenario, bench: Bench): Promise<Outcome> {
  const { name, about } = scenario;
  const startMs = performance.now();
  print(`== ${name}: ${about}`);
  try {
    if (bench.quick && startMs > QUICK_MS) throw new Skipped("no time is left of a quick run's two minutes");
    const findings = await scenario.run(bench);
    for (const row of findings.rows) print(formatRow(row));
    for (const { head, lines } of findings.details ?? []) print(`\n${renderTable(head, lines)}\n`);
    print(`  (${Math.round((performance.now() - startMs) / 1000)} s)`);
    return { name, about, findings };
  } catch (error) {
    if (error instanceof Skipped) {
      print(`  skipped: ${error.message}`);
      return { name, about, skipped: error.message };
    }
    print(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return { name, about, failed: getErrorMessage(error) };
  } finally {
    // The next scenario is to have the machine for itself.
    await BenchOperator.endAll();
    await JsonProcess.stopAll();
  }
}

async function main({ quick, only, out, date }: BenchArguments): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "pvo-bench-"));
  const keepDir = removeAtOurEnd(dir);
  const facts = [...readMachineFacts(), ["run", quick ? "quick: small counts" : "whole"] as const];
  const program = await ensureAlertSource(print);
  let running: Cluster | undefined;
  const bench: Bench = {
    quick,
    program,
    dir,
    cluster: makeOnce(async () => {
      const missing = findClusterObstacle();
      if (missing !== undefined) throw new Skipped(missing);
      running = await startCluster({ controllerManager: false });
      await running.applyCrds();
      return running;
    }),
    bundle: makeOnce(async () => {
      const files = await bundle({ "policy-violation-operator": "src/main.ts" }, join(dir, "dist"));
      return files.find((file) => file.endsWith(".cjs")) ?? "";
    }),
    log: (line) => print(`  ${line}`),
  };
  const outcomes: Outcome[] = [];
  try {
    for (const scenario of SCENARIOS) {
      if (only.length === 0 || only.includes(scenario.name)) outcomes.push(await measure(scenario, bench));
    }
  } finally {
    await running?.stop();
    rmSync(dir, { recursive: true, force: true });
    keepDir();
  }
  if (out !== undefined) {
    const reasons = JSON.parse(readFileSync(join(ROOT, "bench/reasons.json"), "utf8")) as Record<string, string>;
    const day = date ?? new Date().toISOString().slice(0, 10);
    writeFileSync(out, renderResultsPage({ date: day, facts, outcomes, reasons }));
    print(`written to ${out}`);
  }
  return outcomes.some(({ failed }) => failed !== undefined) ? 1 : 0;
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}
process.exitCode = await main(parseArgumentsOrExit());
