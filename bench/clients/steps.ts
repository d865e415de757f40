// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs every step in the life of one very large report, in a process as the image starts it. The first argument is the
// number of violations, the second that of a round before, in which the compiler works.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Aggregator } from "../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../src/aggregate/counts/set-numbers.ts";
import { drainChanges } from "../../src/aggregate/journal-changes.ts";
import type { Ledger } from "../../src/aggregate/ledger/ledger.ts";
import { toReportText } from "../../src/api/report-text.ts";
import { limitHeapGrowth } from "../../src/app/heap-limits.ts";
import { recordEventUpdates } from "../../src/events/event-updates.ts";
import { subtractReported } from "../../src/leadership/subtract-reported.ts";
import type { Steps } from "../../src/lib/pacing/steps.ts";
import { buildReport } from "../../src/reconcile/write-attempt.ts";
import { renderInSteps } from "../../src/report/render.ts";
import { ReportedUntil } from "../../src/report/reported-until.ts";
import { alert, formatTimeAt, renderOptions, toLetters, violation } from "../../test/support/gen.ts";
import { printLine } from "./meter.ts";

/** Within the default bound of one workload. */
const WORKLOADS = 25;

/** Digits would be folded away. Returns the longest time of one alert as well. */
function fill(aggregator: Aggregator, held: number, workloads = WORKLOADS): { ledger: Ledger; ms: number } {
  let longest = 0;
  settleHeap();
  for (let i = 0; i < held; i++) {
    const mods = { OwnerName: `w-${toLetters(i % workloads)}`, Operation: "File", Resource: `/x/${toLetters(i)}` };
    const occurrence = violation(alert({ ...mods, UpdatedTime: formatTimeAt(i) }));
    longest = Math.max(longest, measureTime(() => aggregator.add(occurrence)).ms);
  }
  return { ledger: [...aggregator.ledgers.values()][0] as Ledger, ms: longest };
}

/** Rows of one batch of the journal. */
const ROWS = 250;

/** Writes a journal again from its beginning. */
function* writeAgain(ledger: Ledger): Steps {
  ledger.sets.resetLog();
  yield;
  while (drainChanges(ledger, ROWS)?.layers.length) yield;
}

setFlagsFromString("--expose-gc");
/** Garbage of the phase before is not this one's. */
const settleHeap = runInNewContext("gc") as () => void;

/** Processor time of this thread: others on the machine take none of it. */
function measureTime<T>(act: () => T): { ms: number; value: T } {
  const before = process.threadCpuUsage();
  const value = act();
  const { user, system } = process.threadCpuUsage(before);
  return { ms: (user + system) / 1000, value };
}

/** Runs all steps; returns the longest in milliseconds, and what they return. */
function measureSteps<T>(steps: Steps<T>): { ms: number; value: T } {
  let longest = 0;
  settleHeap();
  for (;;) {
    const { ms, value: result } = measureTime(() => steps.next());
    longest = Math.max(longest, ms);
    if (result.done) return { ms: longest, value: result.value };
  }
}

function measure(held: number): [phase: string, ms: number][] {
  const bytes = 2 ** 30;
  const limits = {
    // The last phase has violations in two reports.
    maxViolations: 2 * held,
    maxViolationsPerWorkload: held,
    limitBytes: bytes,
    maxReports: 10,
    maxReportsPerNamespace: 10,
  };
  const aggregator = new Aggregator(limits, () => {}, { numbers: new SetNumbers() });
  const { ledger, ms: add } = fill(aggregator, held);
  const journal = measureSteps(writeAgain(ledger));
  const take = measureTime(() => ledger.write.take());
  const render = measureSteps(renderInSteps(ledger, renderOptions()));
  const build = measureTime(() => buildReport(ledger, render.value, undefined, undefined));
  const text = measureTime(() => toReportText(build.value));
  const record = measureSteps(recordEventUpdates(ledger, build.value, () => {}));
  const commit = measureSteps(ledger.write.commitInSteps());
  const expire = measureSteps(aggregator.expire(Number.MAX_SAFE_INTEGER, 0));
  const late = new Aggregator(limits, () => {});
  const shown = new ReportedUntil(build.value, 10);
  const compare = measureSteps(subtractReported(fill(late, held).ledger, shown));
  const unwritten = new Aggregator(limits, () => {});
  const { ledger: begun, ms: addAlone } = fill(unwritten, held, held);
  const rebase = measureSteps(begun.transfer.rebase(undefined));
  const move = measureSteps(unwritten.moveToCluster([...unwritten.ledgers.keys()][0] as string));
  return [
    ["count one alert, of few workloads", add],
    ["count one alert, of as many workloads as violations", addAlone],
    ["begin a journal again", journal.ms],
    ["take what is pending", take.ms],
    ["render", render.ms],
    ["write as JSON", build.ms + text.ms],
    ["record Events", record.ms],
    ["commit", commit.ms],
    ["remove beyond retention", expire.ms],
    ["compare with a late write of the previous leader", compare.ms],
    ["begin again after a deletion, nothing written", rebase.ms],
    ["move to the cluster report, nothing written", move.ms],
  ];
}

limitHeapGrowth();
const [held = 0, warmUp = 0] = process.argv.slice(2).map(Number);
measure(warmUp);
printLine({ phases: measure(held) });
