// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Occurrences of one report that are in its totals but in no violation: committed, in flight and pending.

export class Unidentified {
  committed = 0;
  inFlight = 0;
  pending = 0;

  get all(): number {
    return this.committed + this.inFlight + this.pending;
  }

  take(): void {
    this.inFlight = this.pending;
    this.pending = 0;
  }

  commit(): void {
    this.committed += this.inFlight;
    this.inFlight = 0;
  }

  restore(): void {
    this.pending += this.inFlight;
    this.inFlight = 0;
  }
}
