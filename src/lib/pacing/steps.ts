// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Long work on the main thread in steps, between which alerts may be read; as a generator each ends in a `yield`.

import type { Clock } from "../clock.ts";

/** Entries visited in one step of work that takes less than a microsecond for each. */
export const VISITS_PER_STEP = 1024;

export type Steps<T = void> = Generator<undefined, T, undefined>;

export function runAtOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Runs the steps with a turn of the event loop between them. */
export async function runInTurns<T>(steps: Steps<T>, clock: Pick<Clock, "turn">): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await clock.turn();
  }
}

/** Yields after so many entries, each of which is passed to `visit`. */
export function* visitInSteps<T>(entries: Iterable<T>, visit: (entry: T) => void, perStep = VISITS_PER_STEP): Steps {
  let left = perStep;
  for (const entry of entries) {
    if (left-- === 0) {
      yield;
      left = perStep - 1;
    }
    visit(entry);
  }
}

/** Notes visited entries; waits for a turn of the event loop where the step is full. */
export type Spend = (entries: number) => Promise<void>;

/** Divides work that awaits other things as well into steps of `max` visited entries. */
export function createSpend(clock: Pick<Clock, "turn">, max: number): Spend {
  let left = max;
  return async (entries) => {
    left -= entries;
    if (left > 0) return;
    left = max;
    await clock.turn();
  };
}
