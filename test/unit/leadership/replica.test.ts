// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A process that was stalled must not write by a Lease that is over, though no timer has fired yet.

import { expect, test } from "vitest";
import { createStatedGap, parseStated, StatedGaps } from "../../../src/aggregate/gaps/stated-gaps.ts";
import { parseStreamGaps } from "../../../src/aggregate/gaps/stream-gap-text.ts";
import {
  MISSING_SINCE_ANNOTATION,
  STREAM_GAPS_ANNOTATION,
  UNWRITTEN_SINCE_ANNOTATION,
} from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { LeaderElector } from "../../../src/leadership/election/leader-elector.ts";
import { guardLeader, Replica, type ReplicaParts } from "../../../src/leadership/replica.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemorySink } from "../../support/memory-sink.ts";
import { SIGNAL } from "../../support/signal.ts";
import { DEFAULTS, Election } from "./election.ts";
import { FakeProcess, LeaseConnection, LeaseServer } from "./lease-server.ts";

test("only a leader's writes and removals come through, by the clock at that very moment", async () => {
  const world = new FakeClock();
  const process = new FakeProcess(world);
  const connection = new LeaseConnection(world, process, new LeaseServer());
  const options = { namespace: "security", name: "operator", identity: "a", ...DEFAULTS };
  const elector = new LeaderElector(options, connection, process, silentLogger);
  const sink = new MemorySink();
  const guarded = guardLeader(sink, elector);
  const signal = SIGNAL;
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

/** A replica that leads at once, with what it publishes. */
function startReplica() {
  const election = new Election();
  const candidate = election.createCandidate("a");
  const { elector, process } = candidate;
  const takeover = {
    observer: undefined,
    listing: "not yet tried" as string | undefined,
    persistedUntilMs: undefined as number | undefined,
    isCaughtUpWith: () => false,
    onLeaderProgress() {},
  };
  const controller = { isFailing: false };
  const coverage = { continuousSinceMs: 1, missingSinceMs: undefined as number | undefined };
  const config = { leaderElection: DEFAULTS } as unknown as ReplicaParts["config"];
  const watch = { follow: () => new Promise<void>(() => {}) } as unknown as ReplicaParts["watch"];
  const stated = new StatedGaps();
  const parts = { config, clock: process, elector, watch, takeover, controller, coverage, stated };
  void new Replica(parts).runStandby(candidate.stop.signal);
  /** An annotation of the Lease after its next renewal, in milliseconds after the start. */
  const readMs = async (annotation: string) => {
    await election.world.advance(DEFAULTS.retryPeriodMs + 100);
    const text = election.server.lease?.metadata.annotations?.[annotation];
    return text === undefined ? undefined : Date.parse(text) - election.startMs;
  };
  return { ...{ election, candidate, takeover, controller, coverage, stated, readMs }, startMs: election.startMs };
}

test("the Lease says since when alerts may be in no report: none arrive, or reports are not listed or written", async () => {
  const { takeover, controller, coverage, readMs, startMs } = startReplica();
  const readMissingMs = () => readMs(MISSING_SINCE_ANNOTATION);

  expect(await readMissingMs()).toBeUndefined();
  takeover.listing = "forbidden";
  expect(await readMissingMs()).toBeGreaterThan(0);
  takeover.listing = undefined;
  takeover.persistedUntilMs = startMs + 1000;
  expect(await readMissingMs()).toBeUndefined();
  controller.isFailing = true;
  expect(await readMissingMs()).toBe(1000);
  coverage.missingSinceMs = startMs + 3000;
  expect(await readMissingMs()).toBe(1000);
  controller.isFailing = false;
  expect(await readMissingMs()).toBe(3000);
  coverage.missingSinceMs = undefined;
  expect(await readMissingMs()).toBeUndefined();
});

test("a Lease that is released states the newest gaps", async () => {
  const { election, candidate, takeover, stated } = startReplica();
  takeover.listing = undefined;
  await election.world.advance(100);
  const gap = createStatedGap("StreamDown", election.startMs * 1000, election.startMs * 1000 + 1);
  stated.add(gap, 0);
  await Promise.all([candidate.elector.release(), election.world.advance(100)]);
  const { spec, metadata } = election.server.lease ?? {};
  expect(spec?.holderIdentity).toBe("");
  expect(parseStated(parseStreamGaps(metadata?.annotations?.[STREAM_GAPS_ANNOTATION] ?? ""))).toEqual([gap]);
});

test("the Lease keeps the time until which counts are persisted, where a new leader does not know it", async () => {
  const { takeover, readMs, startMs } = startReplica();
  takeover.listing = undefined;
  takeover.persistedUntilMs = startMs + 1000;
  expect(await readMs(UNWRITTEN_SINCE_ANNOTATION)).toBe(1000);
  takeover.persistedUntilMs = 0;
  expect(await readMs(UNWRITTEN_SINCE_ANNOTATION)).toBe(1000);
  takeover.persistedUntilMs = startMs + 3000;
  expect(await readMs(UNWRITTEN_SINCE_ANNOTATION)).toBe(3000);
});
