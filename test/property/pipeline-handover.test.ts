// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas over one store: whatever moment the leader dies, whatever each of them has read by then, and whatever the
// reports list, nothing is told twice; and what is not told is declared in its report.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import { Pipeline, type PipelineOptions } from "../../src/controller/pipeline.ts";
import { formatMicroTime } from "../../src/core/time.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, hostAlert, LIMITS, pipelineOptions, runs, START_MS, START_US } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { backwards } from "./pipeline-simulation.ts";

const SIGNAL = new AbortController().signal;
const RENEWAL_MS = 2000;
const PACE = { firstWriteDelayMs: 200, minIntervalMs: 2000, maxIntervalMs: 8000 };

/** One alert: what it is, when it happened, and when each replica gets it. */
interface Sent {
  alert: Alert;
  atMs: number;
  leaderMs: number;
  standbyMs: number;
}

interface Scenario {
  sent: Sent[];
  dieMs: number;
  takeOverMs: number;
  watchLagMs: number;
}

/** Whether each replica gets the alerts in the order of their times, as from one node that serialises. */
function scenario(inOrder: boolean): fc.Arbitrary<Scenario> {
  const what = fc.record({
    // Out of order only where several alike are on their way at once.
    gapMs: fc.integer({ min: 0, max: inOrder ? 400 : 60 }),
    policy: fc.constantFrom("p1", "p2"),
    pod: fc.constantFrom("web-1", "web-2", "web-3"),
    file: fc.constantFrom("/a", "/b", "/c"),
    isHost: fc.boolean(),
    leaderLagMs: fc.integer({ min: 0, max: 300 }),
    standbyLagMs: fc.integer({ min: 0, max: 300 }),
  });
  return fc
    .record({
      list: fc.array(what, { minLength: 50, maxLength: 150 }),
      die: fc.double({ min: 0.2, max: 1, noNaN: true }),
      silenceMs: fc.integer({ min: 0, max: 15_000 }),
      watchLagMs: fc.integer({ min: 0, max: 200 }),
    })
    .map(({ list, die, silenceMs, watchLagMs }) => {
      let [atMs, leaderMs, standbyMs] = [10_000, 0, 0];
      const sent = list.map((one, index): Sent => {
        atMs += one.gapMs;
        const lagged = (lagMs: number, before: number) =>
          inOrder ? Math.max(before, atMs + lagMs) : atMs + lagMs;
        leaderMs = lagged(one.leaderLagMs, leaderMs);
        standbyMs = lagged(one.standbyLagMs, standbyMs);
        const UpdatedTime = formatMicroTime(START_US + atMs * 1000 + index);
        const fields = { UpdatedTime, HostPID: 1000 + index, PolicyName: one.policy, Resource: one.file };
        const made = one.isHost
          ? hostAlert(fields)
          : alert(fields, { PodName: one.pod, Operation: "File", Source: "/bin/sh" });
        return { alert: made, atMs, leaderMs, standbyMs };
      });
      const dieMs = 10_000 + die * (atMs - 10_000);
      return { sent, dieMs, takeOverMs: dieMs + silenceMs, watchLagMs };
    });
}

/** Two replicas in one world. */
class World {
  readonly clock = new FakeClock(START_MS);
  readonly store = new MemorySink();
  readonly leader: Pipeline;
  readonly standby: Pipeline;

  constructor(options: Partial<PipelineOptions>) {
    this.leader = this.#replica({ ...options, writerId: "leader" });
    this.standby = this.#replica({ ...options, writerId: "standby" });
  }

  #replica(options: Partial<PipelineOptions>): Pipeline {
    const maxPodsPerViolation = options.limits?.maxPodsPerViolation ?? LIMITS.maxPodsPerViolation;
    const standby = { maxAlerts: 10_000, maxCells: 1000, maxPodsPerViolation, seamMs: 10_000 };
    return new Pipeline(pipelineOptions({ pace: PACE, standby, ...options }), {
      sink: this.store,
      events: { record: () => {} },
      clock: this.clock,
      logger: silentLogger,
    });
  }

  /** Runs until everything has arrived and is written. */
  async run({ sent, dieMs, takeOverMs, watchLagMs }: Scenario): Promise<void> {
    const { clock, store, leader, standby } = this;
    const observer = standby.observer!;
    // What the leader's Lease tells.
    let told: number | undefined;
    let isLeaderAlive = true;
    let isFollowing = true;
    const later = (fn: () => void) => clock.after(watchLagMs, () => isFollowing && fn());
    store.observers.add({
      onStored: (report, how) => later(() => observer.onStored(report, how)),
      onListed: () => {},
      onRemoved: (report) => later(() => observer.onRemoved(report)),
    });
    observer.onListed("PolicyViolationReport");
    observer.onListed("ClusterPolicyViolationReport");
    const renew = () => {
      if (!isLeaderAlive) return;
      told = leader.unwrittenSinceMs;
      standby.onLeaderTold(told);
      clock.after(RENEWAL_MS, renew);
    };
    leader.onConnected();
    standby.onConnected();
    await leader.load(SIGNAL);
    leader.writer.start();
    renew();
    for (const { alert: each, leaderMs, standbyMs } of sent) {
      clock.after(leaderMs, () => isLeaderAlive && leader.onAlert(each, 0));
      clock.after(standbyMs, () => standby.onAlert(each, 0));
    }
    await clock.advance(dieMs);
    isLeaderAlive = false;
    await leader.writer.suspend();
    await clock.advance(takeOverMs - dieMs);
    isFollowing = false;
    await standby.load(SIGNAL, { unwrittenSinceMs: told });
    standby.writer.start();
    await clock.advance(10 * 60_000);
  }
}

function toldBy(store: MemorySink): Record<string, number> {
  return Object.fromEntries(
    store.reports.map(({ metadata, summary }) => [
      `${metadata.namespace ?? ""}/${metadata.name}`,
      summary.occurrences,
    ]),
  );
}

function sentTo(sent: readonly Sent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { alert: each } of sent) {
    const key = `${each.NamespaceName}/${each.PolicyName}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

describe("a leader that dies at any moment", () => {
  it("loses nothing and leaves no mark, where alerts come in the order of their times", async () => {
    await fc.assert(
      fc.asyncProperty(scenario(true), async (how) => {
        const world = new World({});
        await world.run(how);
        expect(toldBy(world.store)).toEqual(sentTo(how.sent));
        expect(world.store.reports.map(({ coverage }) => [coverage.gaps, coverage.lowerBound])).toEqual(
          world.store.reports.map(() => [0, false]),
        );
        expect(backwards(world.store.history)).toEqual([]);
        const { counted } = world.standby.books;
        const { held, forgotten } = world.standby.standbyBooks!;
        expect([counted, held, forgotten]).toEqual([how.sent.length, 0, 0]);
      }),
      runs(60),
    );
  });

  it("declares an alert that came to the leader after its last write, and is older than what that one shows", async () => {
    const world = new World({});
    const [newer, older] = [10_000, 9990].map((atMs) => {
      const UpdatedTime = formatMicroTime(START_US + atMs * 1000);
      return { alert: alert({ UpdatedTime, HostPID: atMs }), atMs };
    }) as [Pick<Sent, "alert" | "atMs">, Pick<Sent, "alert" | "atMs">];
    const sent = [
      { ...newer, leaderMs: 10_000, standbyMs: 10_000 },
      { ...older, leaderMs: 11_900, standbyMs: 11_900 },
    ];
    await world.run({ sent, dieMs: 12_000, takeOverMs: 20_000, watchLagMs: 50 });
    const [report] = world.store.reports;
    expect(report?.summary.occurrences).toBe(1);
    expect(report?.coverage).toMatchObject({ gaps: 1, lowerBound: true, recent: [{ kind: "Handover" }] });
  });

  it.each([
    ["and the reports list everything", LIMITS],
    ["and the reports list little", { maxViolations: 2, maxBytes: 262_144, maxPodsPerViolation: 2 }],
  ])(
    "tells nothing twice, and says where something may be missing, in any order of arrival, %s",
    async (_, limits) => {
      await fc.assert(
        fc.asyncProperty(scenario(false), async (how) => {
          const world = new World({ limits });
          await world.run(how);
          const sent = sentTo(how.sent);
          for (const { metadata, summary, coverage } of world.store.reports) {
            const key = `${metadata.namespace ?? ""}/${metadata.name}`;
            expect(summary.occurrences).toBeLessThanOrEqual(sent[key] ?? 0);
            if (summary.occurrences === sent[key]) continue;
            expect([key, coverage.lowerBound]).toEqual([key, true]);
          }
          expect(Object.keys(toldBy(world.store)).sort()).toEqual(Object.keys(sent).sort());
          expect(backwards(world.store.history)).toEqual([]);
        }),
        runs(80),
      );
    },
  );
});
