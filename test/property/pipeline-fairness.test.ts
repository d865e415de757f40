// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Report writes and Events of quiet namespaces while another, or many that do not exist, flood the stream: counted by
// namespace, in order.

import { expect, it } from "vitest";
import { SinkError } from "../../src/sinks/report-sink.ts";
import { alert, formatTimeAt, toLetters } from "../support/gen.ts";
import { findProblems, Simulation } from "./pipeline-simulation.ts";

const QUIET = ["bank", "shop", "mail"];
const FLOODED = 200;

it("the flood of one tenant delays the writes of others by a turn, and by the aging of their rank", async () => {
  const s = new Simulation({ options: { writesPerSecond: 5, writeBurst: 5 } });
  const written: string[] = [];
  const { write } = s.store;
  s.store.write = (report, ...rest) => {
    written.push(report.metadata.namespace ?? "");
    return write.call(s.store, report, ...rest);
  };
  await s.start();
  const send = (namespace: string, policy: string, i: number) =>
    s.send(
      alert({
        NamespaceName: namespace,
        OwnerNamespace: namespace,
        PolicyName: policy,
        Operation: "File",
        Resource: `/data/${toLetters(i)}`,
        UpdatedTime: formatTimeAt(i),
      }),
    );
  let sent = 0;
  const waited: number[] = [];
  for (let second = 0; second < 60; second++) {
    // New violations in each of the tenant's reports, without end.
    for (let policy = 0; policy < FLOODED; policy++) send("evil", `p-${toLetters(policy)}`, sent++);
    const before = written.length;
    const isTime = second % 10 === 5;
    if (isTime) for (const namespace of QUIET) send(namespace, "quiet", sent++);
    await s.clock.advance(isTime ? 8000 : 1000);
    if (isTime) for (const namespace of QUIET) waited.push(written.indexOf(namespace, before) - before);
  }
  // A first report waits for one turn of four namespaces; a later one, of a lower rank, for 5 s as well.
  const [first, later] = [waited.slice(0, QUIET.length), waited.slice(QUIET.length)];
  expect(first.filter((writes) => writes < 0 || writes > 6)).toEqual([]);
  expect(later.filter((writes) => writes < 0 || writes > 6 + 5 * 5)).toEqual([]);
  expect(written.filter((namespace) => namespace === "evil").length).toBeGreaterThan(250);
  const quiet = s.occurrences.filter(({ policy }) => policy === "quiet");
  expect(quiet.length).toBe(waited.length);
  await s.stop();
  expect(findProblems(s)).toEqual([]);
});

/** Seconds from the first alert of a namespace that exists to its report, while others that do not exist flood the stream. */
async function measureWaits(s: Simulation): Promise<number[]> {
  s.store.goneNamespaces.has = (namespace) => namespace.startsWith("ghost-");
  const sentMs = new Map<string, number>();
  const waits: number[] = [];
  const { write } = s.store;
  s.store.write = (report, ...rest) => {
    const { namespace = "" } = report.metadata;
    if (sentMs.has(namespace)) waits.push((s.clock.elapsedMs - (sentMs.get(namespace) as number)) / 1000);
    sentMs.delete(namespace);
    return write.call(s.store, report, ...rest);
  };
  await s.start();
  const send = (namespace: string, i: number) =>
    s.send(alert({ NamespaceName: namespace, OwnerNamespace: namespace, UpdatedTime: formatTimeAt(i) }));
  for (let second = 0; second < 16; second++) {
    for (let i = second * 500; i < (second + 1) * 500; i++) send(`ghost-${i}`, i);
    if (second % 3 === 2) {
      send(`team-${second}`, second);
      sentMs.set(`team-${second}`, s.clock.elapsedMs);
    }
    await s.clock.advance(1000);
  }
  return waits;
}

it("a flood of namespaces that do not exist delays the first report of one that does by seconds", async () => {
  const s = new Simulation();
  const waits = await measureWaits(s);
  expect(waits).toHaveLength(5);
  expect(Math.max(...waits)).toBeLessThanOrEqual(3);
  // Those found gone leave the memory without a try of their own.
  expect(s.pipeline.aggregator.ledgers.size).toBeLessThan(2000);
  await s.stop();
  expect(findProblems(s)).toEqual([]);
  const moved = s.store.reports.find(({ metadata }) => metadata.namespace === undefined);
  expect(moved?.summary.occurrences).toBe(16 * 500);
});

it("where namespaces can't be listed each is tried, and every alert is counted in the end", async () => {
  const s = new Simulation();
  s.sink.findAbsentNamespaces = () => Promise.reject(new SinkError("namespaces is forbidden"));
  await measureWaits(s);
  await s.clock.advance(10 * 60_000);
  await s.stop();
  expect(findProblems(s)).toEqual([]);
});
