// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Leases of all shards and partitions, as the leader of the owners sees them: since when alerts may be missing in all.
// Invariant: a part that no replica holds is missing since its last renewal, or since this replica began to look.

import type { Clock } from "../../lib/clock.ts";
import { parseEpochMs } from "../../lib/time.ts";
import type { ListedLease } from "./members.ts";

export interface PartLeasesOptions {
  /** Names of the Leases of all shards and partitions. */
  names: readonly string[];
  leaseDurationMs: number;
}

interface Seen {
  renewTime: string;
  /** Monotonic time of the last renewal that was seen. */
  aliveMs: number;
}

/** A part between two replicas is held again within this many lease durations. */
const LATE_LEASES = 2;

export class PartLeases {
  readonly #names: readonly string[];
  readonly #leaseDurationMs: number;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #startMonotonicMs: number;
  #seen = new Map<string, Seen>();
  /** Earliest time since which alerts of a part may be missing; undefined while all parts are worked on. */
  missingSinceMs: number | undefined;

  constructor({ names, leaseDurationMs }: PartLeasesOptions, clock: Clock) {
    this.#names = names;
    this.#leaseDurationMs = leaseDurationMs;
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#startMonotonicMs = clock.monotonicMs();
  }

  /** Takes the Leases of the namespace as they were just listed. */
  observe(leases: readonly ListedLease[]): void {
    const byName = new Map(leases.map((lease) => [lease.name, lease]));
    const nowMs = this.#clock.monotonicMs();
    const seen = new Map<string, Seen>();
    const missing: number[] = [];
    for (const name of this.#names) {
      const lease = byName.get(name);
      const renewTime = lease?.renewTime ?? "";
      const known = this.#seen.get(name);
      const isHeld = lease !== undefined && lease.holder !== "";
      const isRenewed = isHeld && known?.renewTime !== renewTime;
      const aliveMs = isRenewed ? nowMs : (known?.aliveMs ?? this.#startMonotonicMs);
      seen.set(name, { renewTime, aliveMs });
      if (nowMs - aliveMs > LATE_LEASES * this.#leaseDurationMs) {
        missing.push(parseEpochMs(renewTime) ?? this.#startMs);
      } else if (isHeld && lease.missingSince !== "") {
        missing.push(parseEpochMs(lease.missingSince) ?? this.#startMs);
      }
    }
    this.#seen = seen;
    this.missingSinceMs = missing.length === 0 ? undefined : Math.min(...missing);
  }
}
