// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The store as one process reaches it: slow, away, without an answer, or never again.

import type { Report } from "../../../src/api/v1alpha1.ts";
import type { ReportSink, WriteResult } from "../../../src/sinks/report-sink.ts";
import type { FakeClock } from "../fake-clock.ts";
import type { MemorySink } from "../memory-sink.ts";

/** State that all processes share. */
export interface StoreWorld {
  readonly clock: FakeClock;
  isApiAway: boolean;
  /** Share of writes without an answer. */
  unknownWrites: number;
}

export class ProcessSink implements ReportSink {
  isDead = false;
  readonly #sink: MemorySink;
  readonly #world: StoreWorld;

  constructor(sink: MemorySink, world: StoreWorld) {
    this.#sink = sink;
    this.#world = world;
  }

  async *list(signal: AbortSignal): AsyncIterable<Report> {
    await this.#waitAtRandom();
    yield* this.#sink.list(signal);
  }

  async read(...args: Parameters<ReportSink["read"]>): ReturnType<ReportSink["read"]> {
    await this.#waitAtRandom();
    return await this.#sink.read(...args);
  }

  async write(report: Report, signal: AbortSignal): Promise<WriteResult> {
    await this.#waitAtRandom();
    if (this.#world.isApiAway) return { kind: "retry", message: "away" };
    const chance = this.#world.clock.random();
    if (chance < this.#world.unknownWrites / 2) return { kind: "unknown", message: "not carried out" };
    const result = await this.#sink.write(report, signal);
    await this.#waitAtRandom();
    return chance < this.#world.unknownWrites ? { kind: "unknown", message: "carried out" } : result;
  }

  async remove(...args: Parameters<ReportSink["remove"]>): ReturnType<ReportSink["remove"]> {
    await this.#waitAtRandom();
    return await this.#sink.remove(...args);
  }

  async #waitAtRandom(): Promise<void> {
    const { clock } = this.#world;
    await clock.sleep(1 + Math.floor(clock.random() * 30));
    if (this.isDead) await new Promise(() => {});
  }
}
