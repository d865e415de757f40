// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Lease of a shard or a partition, which a test gives to a process and takes away again.

import type { HeldPart } from "../../../src/scale/leases/lease-group.ts";

export class SimulatedLease {
  readonly stop = new AbortController();
  isHeld = true;
  /** Resolves when the process has given it up in order. */
  readonly done: Promise<void>;
  #lost = new AbortController();
  #regained = () => {};

  constructor(index: number, predecessor: HeldPart["predecessor"], work: (part: HeldPart) => Promise<void>) {
    this.done = work({
      index,
      predecessor,
      lost: this.#lost.signal,
      stop: this.stop.signal,
      isHeld: () => this.isHeld,
      regain: () =>
        new Promise((resolve) => {
          this.stop.signal.addEventListener("abort", () => resolve(undefined), { once: true });
          this.#regained = () => {
            this.isHeld = true;
            this.#lost = new AbortController();
            resolve(this.#lost.signal);
          };
        }),
    });
  }

  /** It is not renewed for a while, and no other process takes it. */
  skipRenewal(): void {
    this.isHeld = false;
    this.#lost.abort();
  }

  regain(): void {
    this.#regained();
  }
}
