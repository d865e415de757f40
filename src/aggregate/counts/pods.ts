// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of each pod, by podKey: a map that is small where there is one pod, as with most violations. Invariant: as a
// Map, in the order of insertion. The time of a pod only grows.

import { LeastHeap } from "../../lib/collections/least-heap.ts";
import type { EpochUs } from "../../lib/time.ts";

export interface PodTally {
  name: string;
  /** The node of its newest alert. */
  node: string;
  occurrences: number;
  lastUs: EpochUs;
  /** Its occurrences in the journal's last batch. */
  journaled?: number | undefined;
}

export class Pods {
  /** The only one, while there is no map. */
  #key = "";
  #only: PodTally | undefined;
  #map: Map<string, PodTally> | undefined;
  /** By time, from the first time that one had to leave. */
  #byTime: LeastHeap | undefined;

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
    if (this.#map) {
      const isNew = !this.#map.has(key);
      this.#map.set(key, pod);
      if (isNew) this.#byTime?.push(key);
    } else if (this.#only && this.#key !== key) {
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

  /** Among pods with the same time the one with the key that sorts first is the least recent: their order has no say. */
  deleteLeastRecent(): void {
    const map = this.#map;
    if (!map) return;
    if (!this.#byTime) {
      this.#byTime = new LeastHeap((key) => map.get(key)?.lastUs);
      for (const key of map.keys()) this.#byTime.push(key);
    }
    const key = this.#byTime.pop();
    if (key !== undefined) map.delete(key);
  }

  /** Pods looked at for the least recent so far. */
  get visits(): number {
    return this.#byTime?.visits ?? 0;
  }

  values(): Iterable<PodTally> {
    return this.#map ? this.#map.values() : this.#only ? [this.#only] : [];
  }

  [Symbol.iterator](): Iterator<[string, PodTally]> {
    const only: [string, PodTally][] = this.#only ? [[this.#key, this.#only]] : [];
    return (this.#map ?? only)[Symbol.iterator]();
  }
}
