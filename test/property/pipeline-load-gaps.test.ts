// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Streams that open or break while stored reports are being loaded: each gap is in every report once, and ends.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { PreviousLeader } from "../../src/leadership/takeover-parts.ts";
import { alert, formatTimeAt, hostAlert, LIMITS } from "../support/gen.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation } from "./pipeline-simulation.ts";

const STANDBY = { maxAlerts: 4000, maxCells: 400, maxPodsPerViolation: LIMITS.maxPodsPerViolation, overlapMs: 10_000 };
const HOUR_MS = 3_600_000;
/** More than one step. */
const REPORTS = 600;
const TURNS = [1, 2, 3, 4, 5, 6];

/** Reports that an earlier process has written, at times of their own. */
async function createStored(reports = REPORTS): Promise<Simulation> {
  const s = new Simulation();
  await s.start();
  for (let n = 0; n < reports; n++) s.send(alert({ PolicyName: `p${n}`, UpdatedTime: formatTimeAt(n) }));
  await s.clock.advance(150_000);
  return s;
}

async function lead(s: Simulation, previous?: PreviousLeader): Promise<void> {
  await s.settleWhile(s.pipeline.load(SIGNAL, previous));
  s.pipeline.controller.start();
}

/** Loads, and acts at the n-th turn of it, or once it is over. */
async function leadAndAct(s: Simulation, n: number, act: () => void, previous?: PreviousLeader): Promise<void> {
  const hasActed = actAtTurn(s, n, act);
  await lead(s, previous);
  if (!hasActed()) act();
}

function actAtTurn({ clock }: Simulation, n: number, act: () => void): () => boolean {
  const turn = clock.turn.bind(clock);
  let left = n;
  clock.turn = async () => {
    if (left-- === 1) act();
    await turn();
  };
  return () => left < 1;
}

function countBy(reports: readonly Report[], toKey: (report: Report) => string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(reports, toKey)).map(([key, group = []]) => [key, group.length]),
  );
}

const listGaps = ({ coverage }: Report) =>
  `${coverage.gaps}: ${coverage.recent?.map(({ kind, to }) => `${kind}${to ? "" : " open"}`).join()}`;

describe("without a Lease", () => {
  it("a stream that opens after the reports were loaded ends the gap of the start in each", async () => {
    const { store, clock } = await createStored(3);
    const s = new Simulation({ store, clock });
    await lead(s);
    await clock.advance(5000);
    s.pipeline.onConnected();
    await clock.advance(HOUR_MS + 60_000);
    expect(countBy(store.reports, listGaps)).toEqual({ "1: NotRunning": 3 });
  });

  it("a stream that opens ends it also where a report has gone to the cluster report with its namespace", async () => {
    const first = new Simulation();
    await first.start();
    first.send(hostAlert({ PolicyName: "p" }));
    await first.clock.advance(20_000);
    first.send(alert({ PolicyName: "p", UpdatedTime: formatTimeAt(20_000) }));
    await first.clock.advance(150_000);
    const { store, clock } = first;
    const s = new Simulation({ store, clock });
    s.pipeline.onConnected();
    s.send(alert({ PolicyName: "p", UpdatedTime: formatTimeAt(170_000) }));
    s.disconnect();
    await s.settleWhile(s.pipeline.load(SIGNAL));
    store.removeNamespace("shop");
    s.pipeline.controller.start();
    await clock.advance(60_000);
    s.pipeline.onConnected();
    await clock.advance(HOUR_MS);
    expect(store.reports.flatMap(({ coverage }) => coverage.recent?.filter(({ to }) => to === undefined))).toEqual([]);
  });

  it("a gap of a report that has gone to the cluster report is counted there besides its own", async () => {
    const first = new Simulation();
    await first.start();
    await first.sendAndWait(150_000, hostAlert({ PolicyName: "p" }));
    const { store, clock } = first;
    store.removeNamespace("shop");
    const s = new Simulation({ store, clock });
    s.pipeline.onConnected();
    s.send(alert({ PolicyName: "p", UpdatedTime: formatTimeAt(150_000) }));
    s.disconnect();
    await lead(s);
    await clock.advance(60_000);
    s.pipeline.onConnected();
    await clock.advance(HOUR_MS);
    expect(store.reports.map(listGaps)).toEqual(["2: StreamDown,NotRunning"]);
  });

  it.each(TURNS)("a stream that opens at turn %s ends it", async (n) => {
    const { store, clock } = await createStored();
    const s = new Simulation({ store, clock });
    await leadAndAct(s, n, () => s.pipeline.onConnected());
    await clock.advance(HOUR_MS + 60_000);
    expect(countBy(store.reports, listGaps)).toEqual({ "1: NotRunning": REPORTS });
  });

  it.each(TURNS)("a node that is lost at turn %s is one gap", async (n) => {
    const { store, clock } = await createStored();
    const s = new Simulation({ store, clock, nodes: () => undefined });
    s.pipeline.onConnected();
    await leadAndAct(s, n, () => s.disconnect("node_down"));
    await clock.advance(1000);
    s.pipeline.onConnected({ nodes: 1 });
    await clock.advance(HOUR_MS + 60_000);
    expect(countBy(store.reports, listGaps)).toEqual({ "2: NodeDown,NotRunning": REPORTS });
  });
});

describe("with a Lease", () => {
  async function breakStream(n: number, readMs: number, persistedMs: number): Promise<Report[]> {
    const { store, clock } = await createStored();
    const s = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "b" } });
    s.pipeline.onConnected();
    await clock.advance(readMs);
    let breakMs = 0;
    const act = () => {
      breakMs = clock.nowMs();
      s.disconnect();
    };
    await leadAndAct(s, n, act, { persistedUntilMs: clock.nowMs() - persistedMs, isReleased: false });
    await clock.advance(2000);
    s.pipeline.onConnected();
    await clock.advance(HOUR_MS + 60_000);
    const isIn = ({ from, to = "" }: { from: string; to?: string }) =>
      Date.parse(from) <= breakMs && Date.parse(to) >= breakMs + 1000;
    return store.reports.filter(({ coverage }) => coverage.recent?.some(isIn));
  }

  it.each(TURNS)("a stream that breaks at turn %s of a takeover is in each report", async (n) => {
    expect(await breakStream(n, 20_000, 0)).toHaveLength(REPORTS);
  });

  it.each(TURNS)("a stream that breaks at turn %s of a restart is in each report", async (n) => {
    expect(await breakStream(n, 1000, 500)).toHaveLength(REPORTS);
  });

  it("a node that was lost while another replica led is in no report, also where loading was ended once", async () => {
    const { store, clock } = await createStored();
    const s = new Simulation({ store, clock, nodes: () => undefined, options: { standby: STANDBY, writerId: "b" } });
    s.pipeline.onConnected();
    await clock.advance(20_000);
    s.disconnect("node_down");
    const end = new AbortController();
    const hasEnded = actAtTurn(s, 1, () => end.abort());
    await s.settleWhile(s.pipeline.load(end.signal));
    expect([hasEnded(), s.pipeline.takeover.isStandingBy]).toEqual([true, true]);
    s.pipeline.onConnected({ nodes: 1 });
    await clock.advance(20_000);
    await lead(s, { persistedUntilMs: clock.nowMs(), isReleased: false });
    await clock.advance(HOUR_MS + 60_000);
    expect(countBy(store.reports, listGaps)).toEqual({ "0: undefined": REPORTS });
  });
});
