// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Everything that `run` does with an alert as a leader, writer and journal on, into a store that answers at once.
// The second argument is the journal's file, and empty for none; a third one leaves the writer off.

import { createRelaySource } from "../../src/alerts/relay-source.ts";
import { limitHeapGrowth } from "../../src/app/heap-limits.ts";
import { Pipeline } from "../../src/app/pipeline/pipeline.ts";
import { toPipelineOptions } from "../../src/app/pipeline/pipeline-options.ts";
import { parseConfig } from "../../src/config/config.ts";
import { Journaling } from "../../src/journal/journal-writer.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { InstantSink } from "./instant-sink.ts";
import { type Command, followCommands, printLine } from "./meter.ts";

limitHeapGrowth();
const [address = "", path = "", reader] = process.argv.slice(2);
// The path of a leader; a standby takes another.
const env = { ...process.env, PVO_LEADER_ELECTION_ENABLED: "false" };
const parsed = parseConfig({ env, place: { identity: "bench" } });
if (!("config" in parsed)) throw new Error("the defaults are a configuration");
const { maxBytes, batchIntervalMs } = parsed.config.journal;
const journaling =
  path === ""
    ? undefined
    : new Journaling({
        open: createSqliteJournal({ path, maxBytes }),
        batchIntervalMs,
        freshWriterId: "bench",
        clock: systemClock,
        logger: silentLogger,
      });
const sink = new InstantSink();
const pipeline = new Pipeline(toPipelineOptions(parsed.config, "bench"), {
  journaling,
  sink,
  events: { record() {} },
  clock: systemClock,
  logger: silentLogger,
});
function followCommand(command: Command): void {
  if (command["state"]) printState();
}

function printState(): void {
  const { counters, aggregator } = pipeline;
  if (!counters.isReconciled) throw new Error("the counters do not balance");
  if (journaling?.problem !== undefined) throw new Error(journaling.problem);
  const rssBytes = process.memoryUsage.rss();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  printLine({
    rssBytes,
    heldBytes: heapUsed + external,
    violations: aggregator.stats.violations,
    reports: aggregator.ledgers.size,
    writes: sink.writes,
    received: counters.received,
    journalRows: journaling?.stats.rows ?? 0,
  });
}

followCommands(() => pipeline.counters.received, followCommand);
const never = new AbortController().signal;
await pipeline.load(never);
if (reader === undefined) pipeline.controller.start();
await createRelaySource({ address }, systemClock, silentLogger).run(pipeline, never);
