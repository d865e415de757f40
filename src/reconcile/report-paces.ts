// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rate limiter of the reports: the delay of a change until its report is due.
// A pace is dropped once it equals that of a report that was never written: two minutes after its last write by default.
// Bounded: at MAX_PACES that of the report written the longest ago is dropped, and the report's next change is written as
// that of a new one.

import type { Urgency } from "../aggregate/gaps/urgency.ts";
import type { Clock } from "../lib/clock.ts";
import { afterWrite, computeDueMs, computeQuietMs, createPace, type Pace, type PaceOptions } from "./write-pace.ts";

/** As many as the reports held by default. */
const MAX_PACES = 20_000;

export class ReportPaces {
  readonly #options: PaceOptions;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** In the order of the last write. */
  readonly #paces = new Map<string, Pace>();

  constructor(options: PaceOptions, clock: Pick<Clock, "monotonicMs">) {
    this.#options = options;
    this.#clock = clock;
  }

  get size(): number {
    return this.#paces.size;
  }

  /** Milliseconds from now until a change of this urgency is due. */
  computeDelayMs(key: string, urgency: Urgency): number {
    const nowMs = this.#clock.monotonicMs();
    return Math.max(0, computeDueMs(this.#findPace(key), urgency, nowMs, this.#options) - nowMs);
  }

  /** Counts a write; `fresh`: it brought a new violation. */
  recordWrite(key: string, fresh: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const pace = afterWrite(this.#findPace(key), fresh, nowMs, this.#options);
    this.#paces.delete(key);
    this.#paces.set(key, pace);
    const quietBeforeMs = nowMs - computeQuietMs(this.#options);
    for (const [oldest, { lastWriteMs }] of this.#paces) {
      if (lastWriteMs > quietBeforeMs && this.#paces.size <= MAX_PACES) return;
      this.#paces.delete(oldest);
    }
  }

  forget(key: string): void {
    this.#paces.delete(key);
  }

  #findPace(key: string): Pace {
    return this.#paces.get(key) ?? createPace(this.#options);
  }
}
