// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The copies of all reports of one kind.
// Invariant: bounded; reports beyond the bound have no copy.

import type { RetryPolicy } from "../../lib/pacing/retry-policy.ts";

export interface CopyState {
  readonly namespace: string | undefined;
  readonly name: string;
  reportVersion?: string | undefined;
  /** Version of the copy as this process wrote it; another version in a watch is a change from outside. */
  writtenVersion?: string | undefined;
  /** Results that the API server accepts; undefined while the limits fit. */
  mostThatFit?: number;
  /** Start of the last attempt; undefined before the first one. Milliseconds, monotonic. */
  triedMs?: number;
  isInFlight?: boolean;
  /** Back-off of the failures since the last success; undefined without one. */
  retry?: RetryPolicy | undefined;
}

export class CopyStates {
  readonly #max: number;
  readonly #states = new Map<string, CopyState>();
  /** Keys of reports beyond the bound; no more than `max`. */
  readonly #leftOut = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Reports beyond the bound; no more are counted than have a copy. */
  get leftOut(): number {
    return this.#leftOut.size;
  }

  /** Keys of all reports, those beyond the bound included. */
  get known(): string[] {
    return [...this.#states.keys(), ...this.#leftOut];
  }

  get(key: string): CopyState | undefined {
    return this.#states.get(key);
  }

  /** Returns the state of a report, a new one where there is none; undefined at the bound. */
  ensure(key: string, namespace: string | undefined, name: string): CopyState | undefined {
    const known = this.#states.get(key);
    if (known) return known;
    if (this.#states.size >= this.#max) {
      if (this.#leftOut.size < this.#max) this.#leftOut.add(key);
      return undefined;
    }
    const state: CopyState = { namespace, name };
    this.#leftOut.delete(key);
    this.#states.set(key, state);
    return state;
  }

  delete(key: string): void {
    this.#states.delete(key);
    this.#leftOut.delete(key);
  }
}
