// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What the violations in memory weigh, and whose they are.
// Invariant: the meter is the sum over all maps that share it; what a map holds is added and taken off here and nowhere
// else.

import { type Entry, newEntry } from "./entry.ts";
import type { Tally } from "./tally.ts";
import { type Identity, workloadKey } from "./violation.ts";
import { WatchedMap } from "./watched-map.ts";

/** Violations in memory, over all reports. */
export class Meter {
  violations = 0;
  /** An estimate of the heap that they take. */
  bytes = 0;
}

/** What one workload has in one report. */
export interface Share {
  violations: number;
  bytes: number;
  /** Whether the last look found nothing in it that may leave. */
  isStuck: boolean;
}

// Measured on Node 24: a test compares the estimate with the heap.
const ENTRY_BYTES = 500;
const TALLY_BYTES = 180;
const FIRST_POD_BYTES = 330;
const POD_BYTES = 150;
/** Texts are kept in the key, and once more as fields of their own. */
const COPIES = 2;

/** The violations of one report by their keys. */
export class EntryMap extends WatchedMap<string, Entry> {
  readonly #meter: Meter;
  readonly #shares = new Map<string, Share>();
  readonly #weights = new Map<Entry, number>();

  constructor(meter: Meter) {
    super();
    this.#meter = meter;
  }

  /** What each workload has. */
  get shares(): ReadonlyMap<string, Readonly<Share>> {
    return this.#shares;
  }

  shareOf(identity: Identity): Share | undefined {
    return this.#shares.get(workloadKey(identity));
  }

  /** Adds a violation of which nothing is counted yet. */
  begin(key: string, identity: Identity, lowerBound: boolean): Entry {
    const entry = newEntry(key, identity, lowerBound);
    this.set(key, entry);
    return entry;
  }

  override set(key: string, entry: Entry): this {
    this.#takeOff(this.get(key));
    this.#putOn(entry);
    return super.set(key, entry);
  }

  override delete(key: string): boolean {
    this.#takeOff(this.get(key));
    return super.delete(key);
  }

  override clear(): void {
    for (const entry of this.values()) this.#takeOff(entry);
    super.clear();
  }

  /** Weighs an entry again, whose counts have changed. */
  reweigh(entry: Entry): void {
    if (!this.#weights.has(entry)) return;
    this.#takeOff(entry);
    this.#putOn(entry);
  }

  #putOn(entry: Entry): void {
    const bytes = weigh(entry);
    const key = workloadKey(entry.identity);
    const share = this.#shares.get(key) ?? { violations: 0, bytes: 0, isStuck: false };
    share.violations++;
    share.bytes += bytes;
    share.isStuck = false;
    this.#shares.set(key, share);
    this.#weights.set(entry, bytes);
    this.#meter.violations++;
    this.#meter.bytes += bytes;
  }

  #takeOff(entry: Entry | undefined): void {
    const bytes = entry && this.#weights.get(entry);
    if (entry === undefined || bytes === undefined) return;
    const key = workloadKey(entry.identity);
    const share = this.#shares.get(key);
    if (share) {
      share.violations--;
      share.bytes -= bytes;
      if (share.violations === 0) this.#shares.delete(key);
    }
    this.#weights.delete(entry);
    this.#meter.violations--;
    this.#meter.bytes -= bytes;
  }
}

/** An estimate of the heap that one violation takes. */
export function weigh(entry: Entry): number {
  let bytes = ENTRY_BYTES + COPIES * entry.key.length;
  for (const tally of [entry.committed, entry.inFlight, entry.pending]) if (tally) bytes += weighTally(tally);
  return bytes;
}

function weighTally({ pods, latest }: Tally): number {
  const ofPods = pods.size === 0 ? 0 : FIRST_POD_BYTES + (pods.size - 1) * POD_BYTES;
  return TALLY_BYTES + ofPods + (latest?.weight ?? 0);
}
