// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of each pod, by podKey: a map that is small where there is one pod, as with most violations. Invariant: as a
// Map, in the order of insertion; only delete removes a pod.

import type { EpochUs } from "../lib/time.ts";

/** Counts of one pod. */
export interface PodTally {
  name: string;
  /** The node of its newest alert. */
  node: string;
  occurrences: number;
  lastUs: EpochUs;
  /** Its occurrences in the journal's last batch. */
  told?: number | undefined;
}

export class Pods {
  /** The only one, while there is no map. */
  #key = "";
  #only: PodTally | undefined;
  #map: Map<string, PodTally> | undefined;

  get size(): number {
    return this.#map?.size ?? (this.#only ? 1 : 0);
  }

  get(key: string): PodTally | undefined {
    return this.#map ? this.#map.get(key) : this.#key === key ? this.#only : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, pod: PodTally): void {
    if (this.#map) this.#map.set(key, pod);
    else if (this.#only && this.#key !== key) {
      this.#map = new Map([
        [this.#key, this.#only],
        [key, pod],
      ]);
      this.#only = undefined;
    } else {
      this.#key = key;
      this.#only = pod;
    }
  }

  delete(key: string): void {
    if (this.#map) this.#map.delete(key);
    else if (this.#key === key) this.#only = undefined;
  }

  values(): Iterable<PodTally> {
    return this.#map ? this.#map.values() : this.#only ? [this.#only] : [];
  }

  [Symbol.iterator](): Iterator<[string, PodTally]> {
    const only: [string, PodTally][] = this.#only ? [[this.#key, this.#only]] : [];
    return (this.#map ?? only)[Symbol.iterator]();
  }
}
