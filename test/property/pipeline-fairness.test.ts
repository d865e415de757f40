// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Report writes and Events of quiet namespaces while another floods the stream: counted by namespace, in order.

import { expect, it } from "vitest";
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
