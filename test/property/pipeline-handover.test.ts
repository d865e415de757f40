// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas over one store: at any moment of the leader's death, with any state of reading, and any list in the
// reports, nothing is counted twice; and what is not counted is declared in its report.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline, type PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { formatMicroTime } from "../../src/lib/time.ts";
import type { ReportSink, WriteResult } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, checkAllAsync, createPipelineOptions, hostAlert, LIMITS, START_MS, START_US } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { sendRaw } from "../support/send-raw.ts";
import { SIGNAL } from "../support/signal.ts";
import { findBackwardSteps } from "./pipeline-simulation.ts";

const RENEWAL_MS = 2000;
const PACE = { firstWriteDelayMs: 200, minIntervalMs: 2000, maxIntervalMs: 8000 };

const ContainerID = "c0ffee".repeat(2);
/** KubeArmor does not know the owner and the name of the container yet. */
const EARLY = { OwnerRef: "", OwnerName: "", OwnerNamespace: "", ContainerName: ContainerID };

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
  /** From when on the leader's writes get stuck, and how long after the takeover they arrive after all. */
  stuckMs?: number;
  lateMs?: number;
  /** From when on the standby reads; default: the start. */
  readFromMs?: number;
}

/** Order in which each replica gets the alerts: of their times, as from one stream; of their times for each node; or any. */
type Order = "all" | "of each node" | "any";

function generateScenario(order: Order, maxStandbyLagMs = 300): fc.Arbitrary<Scenario> {
  const what = fc.record({
    // Out of order only where several alike are on their way at once.
    gapMs: fc.integer({ min: 0, max: order === "all" ? 400 : 60 }),
    policy: fc.constantFrom("p1", "p2"),
    node: fc.constantFrom("node-1", "node-2"),
    pod: fc.constantFrom("web-1", "web-2", "web-3"),
    file: fc.constantFrom("/a", "/b", "/c"),
    isHost: fc.boolean(),
    isEarly: fc.boolean(),
    leaderLagMs: fc.integer({ min: 0, max: 300 }),
    standbyLagMs: fc.integer({ min: 0, max: maxStandbyLagMs }),
  });
  return fc
    .record({
      list: fc.array(what, { minLength: 50, maxLength: 150 }),
      die: fc.double({ min: 0.2, max: 1, noNaN: true }),
      silenceMs: fc.integer({ min: 0, max: 15_000 }),
      watchLagMs: fc.integer({ min: 0, max: 200 }),
    })
    .map(({ list, die, silenceMs, watchLagMs }) => {
      let atMs = 10_000;
      const before = new Map<string, Pick<Sent, "leaderMs" | "standbyMs">>();
      const sent = list.map((one, index): Sent => {
        atMs += one.gapMs;
        const stream = order === "of each node" ? one.node : order;
        const { leaderMs: lastMs = 0, standbyMs: lastStandbyMs = 0 } = (order !== "any" && before.get(stream)) || {};
        const leaderMs = Math.max(lastMs, atMs + one.leaderLagMs);
        const standbyMs = Math.max(lastStandbyMs, atMs + one.standbyLagMs);
        before.set(stream, { leaderMs, standbyMs });
        const UpdatedTime = formatMicroTime(START_US + atMs * 1000 + index);
        const HostName = order === "of each node" ? one.node : "node-1";
        const fields = { UpdatedTime, HostName, HostPID: 1000 + index, PolicyName: one.policy, Resource: one.file };
        const made = one.isHost
          ? hostAlert(fields)
          : alert(
              fields,
              { PodName: `${one.pod}-${HostName}`, Operation: "File", Source: "/bin/sh", ContainerID },
              one.isEarly ? EARLY : {},
            );
        return { alert: made, atMs, leaderMs, standbyMs };
      });
      const dieMs = 10_000 + die * (atMs - 10_000);
      return { sent, dieMs, takeOverMs: dieMs + silenceMs, watchLagMs };
    });
}

/** As `scenario`, with writes of the leader that arrive when the standby, which is far behind, has taken over. */
function generateLateWrites(order: Order): fc.Arbitrary<Scenario> {
  return fc
    .record({
      how: generateScenario(order, 6000),
      stuckForMs: fc.integer({ min: 0, max: 4000 }),
      silenceMs: fc.integer({ min: 0, max: 1500 }),
      lateMs: fc.integer({ min: 0, max: 5000 }),
    })
    .map(({ how, stuckForMs, silenceMs, lateMs }) => ({
      ...how,
      stuckMs: Math.max(0, how.dieMs - stuckForMs),
      takeOverMs: how.dieMs + silenceMs,
      lateMs,
    }));
}

/** As `scenario`, with times in whole seconds or none, and a standby that begins to read when alerts come in already. */
function generateLateReader(order: Order): fc.Arbitrary<Scenario> {
  return fc
    .record({ how: generateScenario(order), from: fc.double({ min: 0, max: 1, noNaN: true }), isDated: fc.boolean() })
    .map(({ how, from, isDated }) => ({
      ...how,
      // An alert without a time is compared by its arrival, with a margin that a killed leader's Lease outlasts.
      takeOverMs: isDated ? how.takeOverMs : how.takeOverMs + 6000,
      readFromMs: 10_000 + from * (how.dieMs - 10_000),
      sent: how.sent.map((each) => ({
        ...each,
        alert: { ...each.alert, UpdatedTime: isDated ? formatSecond(each.atMs) : "" },
      })),
    }));
}

function formatSecond(atMs: number): string {
  return formatMicroTime(START_US + Math.floor(atMs / 1000) * 1_000_000);
}

/** A way to the store on which writes get stuck from some time on. */
class SlowSink implements Pick<ReportSink, "write"> {
  isStuck = false;
  readonly stuck: Report[] = [];
  readonly #store: MemorySink;

  constructor(store: MemorySink) {
    this.#store = store;
  }

  async write(report: Report, signal: AbortSignal): Promise<WriteResult> {
    if (!this.isStuck) return await this.#store.write(report, signal);
    this.stuck.push(report);
    return await new Promise((resolve) =>
      signal.addEventListener("abort", () => resolve({ kind: "unknown", message: "given up" })),
    );
  }

  /** Lets requests under way reach the store. Returns their outcome. */
  async releaseRequests(): Promise<WriteResult["kind"][]> {
    const results: WriteResult["kind"][] = [];
    for (const report of this.stuck) results.push((await this.#store.write(report, SIGNAL)).kind);
    return results;
  }
}

/** Two replicas in one world. */
class World {
  readonly clock = new FakeClock(START_MS);
  readonly store = new MemorySink();
  readonly leader: Pipeline;
  readonly standby: Pipeline;
  readonly #way = new SlowSink(this.store);
  /** Outcome of the leader's late writes. */
  late: WriteResult["kind"][] = [];

  constructor(options: Partial<PipelineOptions>) {
    const { store } = this;
    const slow: ReportSink = {
      list: (signal) => store.list(signal),
      read: (ref, signal) => store.read(ref, signal),
      write: (report, signal) => this.#way.write(report, signal),
      remove: (ref, version, signal) => store.remove(ref, version, signal),
    };
    this.leader = this.#createReplica({ ...options, writerId: "leader" }, slow);
    this.standby = this.#createReplica({ ...options, writerId: "standby" }, store);
  }

  #createReplica(options: Partial<PipelineOptions>, sink: ReportSink): Pipeline {
    const maxPodsPerViolation = options.limits?.maxPodsPerViolation ?? LIMITS.maxPodsPerViolation;
    const standby = { maxAlerts: 10_000, maxCells: 1000, maxPodsPerViolation, overlapMs: 10_000 };
    const pipeline = new Pipeline(createPipelineOptions({ pace: PACE, standby, ...options }), {
      sink,
      events: { record: () => {} },
      clock: this.clock,
      logger: silentLogger,
    });
    return sendRaw(pipeline);
  }

  /** Runs until everything has arrived and is written. */
  async run({ sent, stuckMs, dieMs, takeOverMs, lateMs, watchLagMs, readFromMs = 0 }: Scenario): Promise<void> {
    const { clock, store, leader, standby } = this;
    const observer = standby.takeover.observer!;
    // Content of the leader's Lease.
    let persistedUntilMs: number | undefined;
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
      persistedUntilMs = leader.takeover.persistedUntilMs;
      standby.takeover.onLeaderProgress(persistedUntilMs);
      clock.after(RENEWAL_MS, renew);
    };
    leader.onConnected();
    if (readFromMs === 0) standby.onConnected();
    else clock.after(readFromMs, () => standby.onConnected());
    await leader.load(SIGNAL);
    leader.controller.start();
    renew();
    for (const { alert: each, leaderMs, standbyMs } of sent) {
      clock.after(leaderMs, () => isLeaderAlive && leader.onAlert(each, 0));
      if (standbyMs > readFromMs) clock.after(standbyMs, () => standby.onAlert(each, 0));
    }
    if (stuckMs !== undefined) {
      clock.after(stuckMs, () => {
        this.#way.isStuck = true;
      });
    }
    await clock.advance(dieMs);
    isLeaderAlive = false;
    await leader.controller.suspend();
    await clock.advance(takeOverMs - dieMs);
    isFollowing = false;
    await standby.load(SIGNAL, { persistedUntilMs, isReleased: false });
    standby.controller.start();
    await clock.advance(lateMs ?? 0);
    this.late = await this.#way.releaseRequests();
    await clock.advance(10 * 60_000);
  }
}

function countReported(store: MemorySink): Record<string, number> {
  return Object.fromEntries(store.reports.map((report) => [toStoredKey(report), report.summary.occurrences]));
}

function toStoredKey({ metadata }: Report): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function toKey({ NamespaceName, PolicyName }: Alert): string {
  return `${NamespaceName}/${PolicyName}`;
}

/** True where a gap of the report has a moment between the alert's time and its arrival. */
function isDeclared({ alert: { UpdatedTime }, leaderMs, standbyMs }: Sent, { coverage }: Report): boolean {
  const arrivalMs = START_MS + Math.max(leaderMs, standbyMs);
  const ownMs = UpdatedTime === "" ? START_MS + Math.min(leaderMs, standbyMs) : Date.parse(UpdatedTime);
  return (coverage.recent ?? []).some(
    ({ from, to }) => Date.parse(from) <= arrivalMs && (to === undefined || Date.parse(to) >= ownMs),
  );
}

function countSent(sent: readonly Sent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { alert: each } of sent) {
    const key = toKey(each);
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

describe("a leader that dies at any moment", () => {
  it.each([
    ["alerts", "all"],
    ["those of each node", "of each node"],
  ] as const)("loses nothing and leaves no mark, where %s come in the order of their times", async (_, order) => {
    await checkAllAsync(60, [generateScenario(order)], async (how) => {
      const world = new World({});
      await world.run(how);
      expect(countReported(world.store)).toEqual(countSent(how.sent));
      expect(world.store.reports.map(({ coverage }) => [coverage.gaps, coverage.lowerBound])).toEqual(
        world.store.reports.map(() => [0, false]),
      );
      expect(findBackwardSteps(world.store.history, true)).toEqual([]);
      const { counted } = world.standby.counters;
      const { held, forgotten } = world.standby.takeover.counters!;
      expect([counted, held, forgotten]).toEqual([how.sent.length, 0, 0]);
    });
  });

  it.each([["all"], ["any"]] as const)(
    "declares each lost alert by its time, where those of whole seconds or no time come to a new standby (order: %s)",
    async (order) => {
      await checkAllAsync(100, [generateLateReader(order)], async (how) => {
        const world = new World({});
        await world.run(how);
        for (const report of world.store.reports) {
          const own = how.sent.filter(({ alert: each }) => toKey(each) === toStoredKey(report));
          const declared = own.filter((each) => isDeclared(each, report)).length;
          const lost = own.length - report.summary.occurrences;
          expect([toStoredKey(report), lost >= 0, lost <= declared]).toEqual([toStoredKey(report), true, true]);
        }
      });
    },
  );

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

  it("declares an alert without a time that comes soon after the takeover, and that the report may have", async () => {
    const world = new World({});
    const [before, after] = [10_000, 14_000].map((atMs) => {
      const each = alert({ UpdatedTime: "", HostPID: atMs });
      return { alert: each, atMs, leaderMs: atMs, standbyMs: atMs };
    }) as [Sent, Sent];
    await world.run({ sent: [before, after], dieMs: 12_000, takeOverMs: 12_001, watchLagMs: 50 });
    const [report] = world.store.reports;
    expect(report?.summary.occurrences).toBe(1);
    expect(report && isDeclared(after, report)).toBe(true);
  });

  it("is shut out of the reports that the new leader has something to add to, before that one counts on", async () => {
    const world = new World({});
    const sent = [10_000, 13_000].map((atMs) => {
      const UpdatedTime = formatMicroTime(START_US + atMs * 1000);
      return { alert: alert({ UpdatedTime, HostPID: atMs }), atMs, leaderMs: atMs, standbyMs: atMs };
    });
    await world.run({ sent, stuckMs: 12_900, dieMs: 22_000, takeOverMs: 38_000, lateMs: 0, watchLagMs: 50 });
    expect(world.late).toEqual(["conflict"]);
    const [report] = world.store.reports;
    expect(report?.summary.occurrences).toBe(2);
    expect(report?.coverage).toMatchObject({ gaps: 0, lowerBound: false });
  });

  it.each([
    ["and the reports list everything", LIMITS],
    ["and the reports list little", { maxViolations: 2, maxBytes: 262_144, maxPodsPerViolation: 2 }],
  ])(
    "counts nothing twice, and says where something may be missing, in any order of arrival, %s",
    async (_, limits) => {
      await checkAllAsync(80, [generateScenario("any")], async (how) => {
        const world = new World({ limits });
        await world.run(how);
        const sent = countSent(how.sent);
        for (const { metadata, summary, coverage } of world.store.reports) {
          const key = `${metadata.namespace ?? ""}/${metadata.name}`;
          expect(summary.occurrences).toBeLessThanOrEqual(sent[key] ?? 0);
          if (summary.occurrences === sent[key]) continue;
          expect([key, coverage.lowerBound]).toEqual([key, true]);
        }
        expect(Object.keys(countReported(world.store)).sort()).toEqual(Object.keys(sent).sort());
        expect(findBackwardSteps(world.store.history, true)).toEqual([]);
      });
    },
  );

  it.each([
    ["in the order of their times", "all"],
    ["in the order of each node", "of each node"],
    ["in any order", "any"],
  ] as const)(
    "counts nothing twice when its last write arrives after the takeover, where alerts come %s",
    async (_, order) => {
      let arrived = 0;
      await checkAllAsync(80, [generateLateWrites(order)], async (how) => {
        const world = new World({});
        await world.run(how);
        arrived += world.late.filter((kind) => kind === "written").length;
        const sent = countSent(how.sent);
        for (const { metadata, summary, coverage } of world.store.reports) {
          const key = `${metadata.namespace ?? ""}/${metadata.name}`;
          expect([key, summary.occurrences <= (sent[key] ?? 0)]).toEqual([key, true]);
          if (summary.occurrences === sent[key]) continue;
          expect([key, coverage.lowerBound]).toEqual([key, true]);
        }
        expect(Object.keys(countReported(world.store)).sort()).toEqual(Object.keys(sent).sort());
        expect(findBackwardSteps(world.store.history, true)).toEqual([]);
        expect(world.standby.counters.counted).toBe(how.sent.length);
      });
      expect(arrived).toBeGreaterThan(0);
    },
  );
});
