// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas over one store: at any moment of the leader's death, with any state of reading, and any list in the
// reports, nothing is counted twice; and what is not counted is declared in its report.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { formatMicroTime } from "../../src/lib/time.ts";
import { alert, checkAllAsync, hostAlert, LIMITS, START_MS, START_US } from "../support/gen.ts";
import type { MemorySink } from "../support/memory-sink.ts";
import { HandoverWorld, type Scenario, type Sent } from "./handover-world.ts";
import { findBackwardSteps } from "./pipeline-simulation.ts";

const ContainerID = "c0ffee".repeat(2);
/** KubeArmor does not know the owner and the name of the container yet. */
const EARLY = { OwnerRef: "", OwnerName: "", OwnerNamespace: "", ContainerName: ContainerID };

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

function countReported(store: MemorySink): Record<string, number> {
  return Object.fromEntries(store.reports.map((report) => [toStoredKey(report), report.summary.occurrences]));
}

function toStoredKey({ metadata }: Report): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function toKey({ NamespaceName, PolicyName }: Alert): string {
  return `${NamespaceName}/${PolicyName}`;
}

/**
 * True where a gap of the report has a moment between the alert's time and its arrival; without a time of its own, the
 * moment when it was sent.
 */
function isDeclared({ alert: { UpdatedTime }, atMs, leaderMs, standbyMs }: Sent, { coverage }: Report): boolean {
  const isDated = UpdatedTime !== "";
  const ownMs = isDated ? Date.parse(UpdatedTime) : START_MS + atMs;
  const lastMs = START_MS + (isDated ? Math.max(leaderMs, standbyMs) : atMs);
  return (coverage.recent ?? []).some(
    ({ from, to }) => Date.parse(from) <= lastMs && (to === undefined || Date.parse(to) >= ownMs),
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
      const world = new HandoverWorld({});
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
        const world = new HandoverWorld({});
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
    const world = new HandoverWorld({});
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
    const world = new HandoverWorld({});
    const [before, after] = [10_000, 14_000].map((atMs) => {
      const each = alert({ UpdatedTime: "", HostPID: atMs });
      return { alert: each, atMs, leaderMs: atMs, standbyMs: atMs };
    }) as [Sent, Sent];
    await world.run({ sent: [before, after], dieMs: 12_000, takeOverMs: 12_001, watchLagMs: 50 });
    const [report] = world.store.reports;
    expect(report?.summary.occurrences).toBe(1);
    expect(report && isDeclared(after, report)).toBe(true);
  });

  // 11_000: this standby began to read later.
  it.each([0, 11_000])(
    "declares an alert that was sent before the leader's last write and came later (%i)",
    async (ms) => {
      const world = new HandoverWorld({});
      const each = alert({ UpdatedTime: "" });
      const persisted: Sent = { alert: each, atMs: 10_000, leaderMs: 10_000, standbyMs: 10_000 };
      const late: Sent = { alert: each, atMs: 10_150, leaderMs: 10_300, standbyMs: 10_300 };
      const times = { readFromMs: ms, dieMs: 12_100, takeOverMs: 20_000, watchLagMs: 50 };
      await world.run({ sent: [persisted, late], ...times });
      const [report] = world.store.reports;
      expect(report?.summary.occurrences).toBe(1);
      expect(report && isDeclared(late, report)).toBe(true);
    },
  );

  it("is shut out of the reports that the new leader has something to add to, before that one counts on", async () => {
    const world = new HandoverWorld({});
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
        const world = new HandoverWorld({ limits });
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
        const world = new HandoverWorld({});
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
