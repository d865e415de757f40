// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A process that stood still must not write by a Lease that is over, though no timer has fired yet.

import { expect, test } from "vitest";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { LeaderElector } from "../../../src/leadership/leader-elector.ts";
import { guardSink } from "../../../src/leadership/replica.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemorySink } from "../../support/memory-sink.ts";
import { DEFAULTS } from "./election.ts";
import { FakeProcess, LeaseConnection, LeaseServer } from "./lease-server.ts";

test("only a leader's writes and removals come through, by the clock at that very moment", async () => {
  const world = new FakeClock();
  const process = new FakeProcess(world);
  const connection = new LeaseConnection(world, process, new LeaseServer());
  const options = { namespace: "security", name: "operator", identity: "a", ...DEFAULTS };
  const elector = new LeaderElector(options, connection, process, silentLogger);
  const sink = new MemorySink();
  const guarded = guardSink(sink, elector);
  const signal = new AbortController().signal;
  const report = { metadata: { name: "p", namespace: "shop" }, kind: "PolicyViolationReport" } as Report;
  const removed = { ref: { namespace: "shop", name: "p" }, version: { uid: "u", resourceVersion: "1" } };
  const tried = async () => [
    (await guarded.write(report, signal)).kind,
    (await guarded.remove(removed.ref, removed.version, signal)).kind,
  ];

  expect(await tried()).toEqual(["retry", "retry"]);
  expect(sink.writes).toBe(0);
  const leading = elector.acquire(signal);
  await world.advance(10);
  expect((await leading)?.aborted).toBe(false);
  await tried();
  expect(sink.writes).toBe(1);
  // Its clock says that the Lease is over; no timer has rung.
  process.freeze();
  process.skewMs = 60_000;
  expect(await tried()).toEqual(["retry", "retry"]);
  expect([sink.writes, (await leading)?.aborted]).toEqual([1, false]);
});
