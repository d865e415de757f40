// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The script of the simulation over several lives of the program: each but the last is killed at some call, and the next
// finds the journal as the killed one left it.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { Fault, Kill } from "../support/fault-sink.ts";
import { START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { findBackwardSteps, SCRIPT, Simulation } from "./pipeline-simulation.ts";

/** End of one life, and the faults in it before. */
export interface Plan {
  /** The call that it is killed at. */
  kill: number;
  how: Kill;
  faults?: ReadonlyMap<number, Fault>;
}

/** Outcome of a plan. */
export interface Outcome {
  store: MemorySink;
  /** Alerts counted over all lives. */
  counted: number;
  /** Of those, alerts that only the memory of a killed process held: read after the last batch of its journal. */
  unprotected: number;
  recovered: number;
  /** Number of killed lives: a plan may be longer than the calls that there are. */
  kills: number;
  /** Rest after a long time without events. */
  unwritten: number;
  isReconciled: boolean;
}

const STEP_MS = 100;
const QUIET_STEP_MS = 10_000;
const DOWN_MS = 2000;
const QUIET_MS = 5 * 60_000;

/** Settings of every life, where they are not the defaults. */
export interface LivesOptions {
  batchIntervalMs?: number;
  options?: Partial<PipelineOptions>;
}

/** Runs the script over as many lives as the plan says, and one more. */
export async function runLives(plans: readonly Plan[], options: LivesOptions = {}): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), "pvo-lives-"));
  const outcome = {
    store: new MemorySink(),
    counted: 0,
    unprotected: 0,
    recovered: 0,
    kills: 0,
    unwritten: 0,
    isReconciled: true,
  };
  try {
    let steps = SCRIPT;
    let nowMs = START_MS;
    let late: Report | undefined;
    for (let life = 0; steps.length > 0 || life <= plans.length; life++) {
      const plan = plans[life];
      const simulation = new Simulation({
        store: outcome.store,
        clock: new FakeClock(nowMs),
        journal: createSqliteJournal({ path: join(dir, `${life}.db`), maxBytes: 2 ** 24 }),
        ...options,
        faults: new Map<number, Fault | Kill>([
          ...(plan?.faults ?? []),
          ...(plan ? [[plan.kill, plan.how] as const] : []),
        ]),
      });
      steps = await runLife(simulation, steps, late);
      outcome.counted += simulation.pipeline.counters.counted;
      outcome.unprotected += simulation.unprotected;
      outcome.recovered += simulation.journaling?.stats.recovered ?? 0;
      outcome.isReconciled &&= simulation.pipeline.counters.isReconciled;
      outcome.unwritten = simulation.pipeline.aggregator.stats.unwritten;
      late = simulation.sink.late;
      nowMs = simulation.clock.nowMs() + DOWN_MS;
      if (!simulation.sink.killed) break;
      outcome.kills++;
      handOver(dir, life);
    }
    return outcome;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Lives until it is killed or the script is over; returns the steps that are left. */
async function runLife(
  simulation: Simulation,
  script: typeof SCRIPT,
  late: Report | undefined,
): Promise<typeof SCRIPT> {
  const steps = [...script];
  await simulation.start();
  // Writes of the previous life arrive only now.
  if (late) await simulation.store.write(late, SIGNAL);
  const endMs = START_MS + (steps.at(-1)?.[0] ?? 0) + QUIET_MS;
  while (!simulation.sink.killed && simulation.clock.nowMs() < endMs) {
    const [next] = steps;
    const dueMs = next ? START_MS + next[0] : endMs;
    if (next && dueMs <= simulation.clock.nowMs()) {
      next[1](simulation);
      steps.shift();
    } else {
      await simulation.clock.advance(next ? Math.min(STEP_MS, dueMs - simulation.clock.nowMs()) : QUIET_STEP_MS);
    }
  }
  if (!simulation.sink.killed) await simulation.stop();
  return steps;
}

/** A killed process closes nothing: the next one finds the files as they are. */
export function handOver(dir: string, life: number): void {
  for (const part of ["", "-wal"]) {
    const from = join(dir, `${life}.db${part}`);
    if (existsSync(from)) copyFileSync(from, join(dir, `${life + 1}.db${part}`));
  }
}

/** Everything that is wrong, in words. */
export function findProblemsOfLives(outcome: Outcome): string[] {
  const { store, counted, unprotected, unwritten, isReconciled, kills } = outcome;
  const problems = findBackwardSteps(store.history);
  if (!isReconciled) problems.push("the counters of a life do not reconcile");
  if (unwritten > 0) problems.push(`${unwritten} unwritten in the end`);
  const reported = store.occurrences;
  if (reported > counted || reported < counted - unprotected) {
    problems.push(`${counted} counted, ${unprotected} of them unprotected, ${reported} reported`);
  }
  for (const { metadata, coverage } of store.reports) {
    const declared = coverage.recent?.some(({ kind }) => kind === "NotRunning") ?? false;
    if (kills > 0 && !(declared && coverage.lowerBound)) problems.push(`${metadata.name}: no gap is declared`);
  }
  return problems;
}
