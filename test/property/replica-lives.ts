// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Several lives of two replicas over one store, from one seed: leaders are killed, standbys take over, answers get lost,
// writes arrive late, violations are evicted, wall clocks are set.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_COVERAGE_GAPS } from "../../src/aggregate/counts/coverage-gap.ts";
import type { StatedGap } from "../../src/aggregate/gaps/stated-gaps.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { Coverage, CoverageGapEntry } from "../../src/api/v1alpha1.ts";
import type { PreviousLeader } from "../../src/leadership/takeover-parts.ts";
import { alert, formatTimeAt, hostAlert, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { findBackwardSteps } from "./pipeline-simulation.ts";
import { type ChaosOptions, Life, World } from "./replica-life.ts";

const RENEWAL_MS = 2000;
const QUIET_MS = 10 * 60_000;
/** Until a quiet report has a short gap of the stream. */
const LATE_MS = 65 * 60_000;

/** Between an alert and its arrival, at most, with a margin. */
const DELIVERY_MS = 400;

interface SentTo {
  alerts: number;
  violations: Set<string>;
  /** Times of alerts that no replica has read, while the report existed. */
  lostMs: Set<number>;
}

class Chaos {
  readonly #world: World;
  readonly #store = new MemorySink();
  readonly #options: ChaosOptions;
  readonly #dir: string;
  readonly #isJournaled: readonly boolean[];
  readonly #lives: [Life | undefined, Life | undefined] = [undefined, undefined];
  readonly #starts: [number, number] = [0, 0];
  readonly #sent = new Map<string, SentTo>();
  readonly #problems: string[] = [];
  #leader: 0 | 1 | undefined;
  /** As the Lease says. */
  #persistedUntilMs: number | undefined;
  #statedGaps: readonly StatedGap[] = [];
  #alerts = 0;

  constructor(seed: number, options: ChaosOptions, dir: string) {
    this.#world = new World(seed);
    this.#options = options;
    this.#dir = dir;
    this.#isJournaled = [this.#world.random() < options.journals, this.#world.random() < options.journals];
  }

  async run(): Promise<string[]> {
    const world = this.#world;
    this.#start(0);
    this.#start(1);
    this.#renew();
    await this.#lead(0, undefined);
    await world.advance(8000);
    const endMs = world.nowMs() + this.#options.seconds * 1000;
    let killMs = world.nowMs() + 10_000 + world.pickBelow(20_000);
    while (world.nowMs() < endMs) {
      if (this.#options.maxClockErrorMs && world.random() < 0.02) this.#lives[world.pickBelow(2)]?.setClock();
      this.#loseStreams();
      this.#send(world.random() < 0.1 ? world.pickBelow(30) : world.pickBelow(3));
      await world.advance(50 + world.pickBelow(400));
      if (world.nowMs() < killMs || this.#leader === undefined || !this.#lives[getOther(this.#leader)]?.isAlive)
        continue;
      await this.#killReplica(this.#leader);
      killMs = world.nowMs() + 25_000 + world.pickBelow(40_000);
    }
    await world.advance(this.#options.outages ? LATE_MS : QUIET_MS);
    for (const life of this.#lives) {
      if (!life) continue;
      life.isAlive = false;
      life.journaling?.close();
    }
    return [...this.#problems, ...this.#check()];
  }

  /** The relay breaks for both replicas, or the network for one. */
  #loseStreams(): void {
    const world = this.#world;
    const { outages = 0 } = this.#options;
    if (outages === 0 || world.random() >= outages) return;
    const ms = 300 + world.pickBelow(world.random() < 0.7 ? 1000 : 40_000);
    const which = world.pickBelow(3);
    for (const [replica, life] of this.#lives.entries()) if (which !== replica) life?.loseStream(ms);
  }

  #start(replica: 0 | 1): void {
    const file = (life: number) => join(this.#dir, `${replica}-${life}.db`);
    const before = file(this.#starts[replica]++);
    const path = file(this.#starts[replica]);
    for (const part of ["", "-wal"]) if (existsSync(before + part)) copyFileSync(before + part, path + part);
    const name = `r${replica}-${this.#starts[replica]}`;
    const journal = this.#isJournaled[replica] ? path : undefined;
    this.#lives[replica] = new Life(this.#world, this.#store, name, journal, this.#options);
  }

  /** The leader renews its Lease, which says until when its counts are in reports. */
  #renew(): void {
    const leader = this.#leader === undefined ? undefined : this.#lives[this.#leader];
    if (leader?.isAlive && leader.isLeader) {
      this.#persistedUntilMs = leader.persistedUntilMs;
      const { takeover, aggregator } = leader.pipeline;
      if (takeover.listing === undefined) this.#statedGaps = aggregator.gaps.late.stated.list;
    }
    for (const life of this.#lives) {
      if (life?.isAlive && !life.isLeader)
        life.pipeline.takeover.onLeaderProgress(life.toOwnMs(this.#persistedUntilMs));
    }
    this.#world.after(RENEWAL_MS, () => this.#renew());
  }

  async #lead(replica: 0 | 1, previous: PreviousLeader | undefined): Promise<void> {
    const life = this.#lives[replica] as Life;
    this.#leader = replica;
    life.isLeader = true;
    let isLoaded = false;
    void life.pipeline.load(SIGNAL, previous).then(() => {
      isLoaded = true;
    });
    for (let i = 0; !isLoaded && i < 4000; i++) await this.#world.advance(50);
    if (!isLoaded) this.#problems.push("load does not end");
    life.pipeline.controller.start();
  }

  async #killReplica(replica: 0 | 1): Promise<void> {
    const world = this.#world;
    const life = this.#lives[replica] as Life;
    life.isAlive = false;
    life.isLeader = false;
    this.#leader = undefined;
    const persistedUntilMs = this.#persistedUntilMs;
    const untilMs = world.nowMs() + 1000 + world.pickBelow(15_000);
    while (world.nowMs() < untilMs) {
      this.#send(world.pickBelow(3));
      await world.advance(200);
    }
    const heir = getOther(replica);
    await this.#lead(heir, {
      isReleased: false,
      persistedUntilMs: this.#lives[heir]?.toOwnMs(persistedUntilMs),
      statedGaps: this.#statedGaps,
    });
    world.after(world.pickBelow(20_000), () => this.#start(replica));
  }

  #send(count: number): void {
    for (let i = 0; i < count; i++) {
      const [made, key] = this.#make();
      const sentMs = this.#world.nowMs();
      const sent = this.#sent.get(key);
      if (this.#store.get(key)) sent?.lostMs.add(sentMs);
      for (const life of this.#lives) {
        this.#world.after(life?.lagMs ?? 0, () => {
          if (!life?.isAlive || !life.isReading) return;
          sent?.lostMs.delete(sentMs);
          life.pipeline.onAlert(made, 0);
        });
      }
    }
  }

  #make(): [Alert, key: string] {
    const world = this.#world;
    const policy = `p${1 + world.pickBelow(3)}`;
    const fields: Partial<Alert> = {
      UpdatedTime: formatTimeAt(world.nowMs() - START_MS + (this.#alerts % 1000) / 1000),
      HostPID: ++this.#alerts,
      PolicyName: policy,
      Resource: `/f${world.pickBelow(this.#options.files)}x`,
      Operation: "File",
      Source: "/bin/sh",
      Result: world.random() < 0.5 ? "Passed" : "Permission denied",
    };
    const container = {
      PodName: `web-${world.pickBelow(4)}`,
      OwnerName: `w${world.pickBelow(2)}`,
      ContainerID: `c${world.pickBelow(4)}`,
    };
    const made = world.random() < 0.15 ? hostAlert(fields) : alert(fields, container, this.#makeEarly());
    const key = `${made.NamespaceName}/${policy}`;
    const sent = this.#sent.get(key) ?? { alerts: 0, violations: new Set<string>(), lostMs: new Set<number>() };
    sent.alerts++;
    sent.violations.add([made.OwnerName || made.PodName, made.Resource, made.Result].join());
    this.#sent.set(key, sent);
    return [made, key];
  }

  /** At times an alert of a pod of its own, at times before its owner and the name of its container are known. */
  #makeEarly(): Partial<Alert> {
    const world = this.#world;
    if (world.random() < 0.7) return {};
    const pod = world.pickBelow(30);
    const ContainerID = `${pod}`.padStart(64, "e");
    const named = { PodName: `db-${pod}`, OwnerName: "db", ContainerID };
    if (world.random() < 0.5) return named;
    return { ...named, OwnerRef: "", OwnerName: "", OwnerNamespace: "", ContainerName: ContainerID };
  }

  /** Returns everything that is wrong in the reports. */
  #check(): string[] {
    const problems: string[] = [];
    for (const [key, { alerts, violations, lostMs }] of this.#sent) {
      const report = this.#store.get(key);
      if (!report) {
        problems.push(`${key}: ${alerts} sent, no report`);
        continue;
      }
      const { summary, coverage } = report;
      const counts = `${key}: ${summary.occurrences} reported, ${alerts} sent`;
      if (summary.occurrences > alerts) problems.push(`${counts}: twice`);
      if (summary.occurrences < alerts && !coverage.lowerBound) problems.push(`${counts}: not marked`);
      const withoutDetails = coverage.withoutDetails ?? 0;
      if (withoutDetails > summary.occurrences) problems.push(`${counts}: ${withoutDetails} without details`);
      if (summary.violations > violations.size) {
        problems.push(`${key}: ${summary.violations} violations reported, ${violations.size} sent`);
      }
      if (!this.#options.maxClockErrorMs)
        problems.push(...findUncovered(lostMs, coverage).map((why) => `${key}: ${why}`));
      for (const { to, kind } of coverage.recent ?? []) if (to === undefined) problems.push(`${key}: ${kind} is open`);
    }
    // Evicted violations begin again.
    const isEvicted = (problem: string) => this.#options.files >= 20 && /[0-9a-f]{16} went back/.test(problem);
    return [...problems, ...findBackwardSteps(this.#store.history, true).filter((problem) => !isEvicted(problem))];
  }
}

/** Alerts that were lost and that no gap covers, since the first one that is listed. */
function findUncovered(lostMs: Iterable<number>, { recent = [] }: Coverage): string[] {
  const sinceMs = recent.length < MAX_COVERAGE_GAPS ? 0 : Date.parse(recent.at(-1)?.from ?? "");
  const isIn =
    (ms: number) =>
    ({ from, to = "" }: CoverageGapEntry) =>
      Date.parse(from) - DELIVERY_MS <= ms && ms <= Date.parse(to) + DELIVERY_MS;
  const uncovered = [...lostMs].filter((ms) => ms >= sinceMs && !recent.some(isIn(ms)));
  return uncovered.map((ms) => `lost at ${ms - START_MS}, outside ${JSON.stringify(recent)}`);
}

/** Runs the lives that follow from a seed; returns everything that is wrong afterwards. */
export async function runReplicas(seed: number, options: ChaosOptions): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), "pvo-replicas-"));
  try {
    return await new Chaos(seed, options, dir).run();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function getOther(replica: 0 | 1): 0 | 1 {
  return replica === 0 ? 1 : 0;
}
