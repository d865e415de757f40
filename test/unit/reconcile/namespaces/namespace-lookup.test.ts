// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { GoneNamespaces } from "../../../../src/reconcile/namespaces/gone-namespaces.ts";
import { NamespaceLookup } from "../../../../src/reconcile/namespaces/namespace-lookup.ts";
import { SinkError } from "../../../../src/sinks/report-sink.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MEMORY } from "../../../support/gen.ts";
import { SIGNAL } from "../../../support/signal.ts";

function setUp() {
  const clock = new FakeClock();
  const { ledger, ledgers } = createLedgers();
  const gone = new GoneNamespaces(clock);
  const logged: object[] = [];
  const log = (fields: object) => logged.push(fields);
  const lists: string[][] = [];
  const bed = { clock, ledger, gone, lists, logged, isRefused: false, during: () => {} };
  const findAbsentNamespaces = async (namespaces: ReadonlySet<string>) => {
    lists.push([...namespaces]);
    bed.during();
    if (bed.isRefused) throw new SinkError("namespaces is forbidden");
    return new Set([...namespaces].filter((each) => each.startsWith("ghost")));
  };
  const logger = { ...silentLogger, info: log, warn: log };
  const lookup = new NamespaceLookup({ sink: { findAbsentNamespaces }, ledgers, gone, clock, logger });
  return { ...bed, bed, run: (waiting = 100, signal = SIGNAL) => lookup.run(waiting, signal) };
}

function createLedgers() {
  const aggregator = new Aggregator(MEMORY, () => {});
  return { ledgers: aggregator.ledgers, ledger: (namespace?: string) => aggregator.ledger(namespace, "p") };
}

it("finds the namespaces of reports that do not exist, and logs their number once", async () => {
  const { ledger, gone, lists, logged, clock, run } = setUp();
  for (const namespace of ["ghost-1", "shop", "ghost-2", undefined]) ledger(namespace);
  await run();
  expect(lists).toEqual([["ghost-1", "shop", "ghost-2"]]);
  expect(["ghost-1", "ghost-2", "shop"].map((namespace) => gone.has(namespace))).toEqual([true, true, false]);
  await clock.advance(2000);
  await run();
  expect(logged).toEqual([{ namespaces: 2 }]);
});

it("leaves out a namespace with a first alert that was read after the list began", async () => {
  const { ledger, gone, bed, run } = setUp();
  ledger("ghost-1");
  bed.during = () => void ledger("ghost-2");
  await run();
  expect([gone.has("ghost-1"), gone.has("ghost-2")]).toEqual([true, false]);
});

it("lists nothing where few reports wait, and once in two seconds where many do", async () => {
  const { clock, lists, run } = setUp();
  await run(99);
  expect(lists).toHaveLength(0);
  for (let ms = 0; ms < 10_000; ms += 100) {
    await Promise.all([run(), run()]);
    await clock.advance(100);
  }
  expect(lists).toHaveLength(5);
});

it("pauses for a minute after a refusal, which it logs, but not one of a controller that stops", async () => {
  const { clock, lists, logged, bed, run } = setUp();
  bed.isRefused = true;
  for (let second = 0; second < 120; second++) {
    await run();
    await clock.advance(1000);
  }
  expect(lists).toHaveLength(2);
  expect(logged).toEqual(Array(2).fill({ answer: "namespaces is forbidden" }));
  await run(100, AbortSignal.abort());
  expect(logged).toHaveLength(2);
});
