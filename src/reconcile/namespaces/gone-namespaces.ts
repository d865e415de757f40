// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Namespaces that do not exist according to the API server. What happens in them is counted in the cluster report, and
// the namespace is tried again with a doubling pause: after FIRST_RETRY_MS, at most every MAX_RETRY_MS.

import type { Clock } from "../../lib/clock.ts";

const FIRST_RETRY_MS = 5000;
const MAX_RETRY_MS = 10 * 60_000;
/** Namespaces remembered, as many as the reports held by default; the one found gone first is forgotten first. */
const MAX_NAMESPACES = 20_000;

interface GoneNamespace {
  retryAtMs: number;
  pauseMs: number;
}

export class GoneNamespaces {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #gone = new Map<string, GoneNamespace>();
  /** Namespaces forgotten at the bound. */
  overflows = 0;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#gone.size;
  }

  /** True if the namespace is known to be gone and not to be tried yet. */
  has(namespace: string): boolean {
    const known = this.#gone.get(namespace);
    return known !== undefined && this.#clock.monotonicMs() < known.retryAtMs;
  }

  /** Records that the namespace was not found; returns whether this is news. */
  add(namespace: string): boolean {
    const known = this.#gone.get(namespace);
    // Reports of one namespace that were under way together count as one try.
    if (known && this.has(namespace)) return false;
    const pauseMs = known ? Math.min(2 * known.pauseMs, MAX_RETRY_MS) : FIRST_RETRY_MS;
    this.#gone.set(namespace, { retryAtMs: this.#clock.monotonicMs() + pauseMs, pauseMs });
    if (this.#gone.size > MAX_NAMESPACES) {
      this.#gone.delete(this.#gone.keys().next().value as string);
      this.overflows++;
    }
    return known === undefined;
  }

  /** Records that the namespace exists; returns whether it was gone before. */
  delete(namespace: string): boolean {
    return this.#gone.delete(namespace);
  }
}
