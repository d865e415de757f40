// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A process that stood still must not write by a Lease that is over, though no timer has told it so yet.

import { expect, test } from "vitest";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { parseConfig } from "../../../src/config/config.ts";
import type { KubeClient } from "../../../src/kube/client.ts";
import { Replica } from "../../../src/leadership/replica.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { Simulation } from "../../property/pipeline-simulation.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemorySink } from "../../support/memory-sink.ts";
import { FakeProcess, LeaseConnection, LeaseServer } from "./lease-server.ts";

test("only a leader's writes and removals come through, by the clock at that very moment", async () => {
  const fileText = JSON.stringify({ leaderElection: { leaseNamespace: "security", leaseName: "operator" } });
  const parsed = parseConfig({ fileText, place: { identity: "a" } });
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const world = new FakeClock();
  const process = new FakeProcess(world);
  const connection = new LeaseConnection(world, process, new LeaseServer());
  const { pipeline } = new Simulation({ clock: world });
  const replica = new Replica({
    config: parsed.config,
    // Of a client nothing but its requests is used here.
    client: connection as unknown as KubeClient,
    clock: process,
    logger: silentLogger,
    pipeline: () => pipeline,
  });
  const sink = new MemorySink();
  const guarded = replica.guard(sink);
  const signal = new AbortController().signal;
  const report = { metadata: { name: "p", namespace: "shop" }, kind: "PolicyViolationReport" } as Report;
  const removed = { ref: { namespace: "shop", name: "p" }, version: { uid: "u", resourceVersion: "1" } };
  const tried = async () => [
    (await guarded.write(report, signal)).kind,
    (await guarded.remove(removed.ref, removed.version, signal)).kind,
  ];

  expect(await tried()).toEqual(["retry", "retry"]);
  expect(sink.writes).toBe(0);
  const leading = replica.elector.acquire(signal);
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
