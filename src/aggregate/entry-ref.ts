// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Where a violation is counted: found once, and used for the next alert that tells the same.
// Invariant: a place is used only while nothing has been removed from the maps that it was found in.

import type { WatchedMap } from "../lib/watched-map.ts";
import type { Entry } from "./entry.ts";
import type { Ledger } from "./ledger.ts";

export class EntryRef {
  readonly key: string;
  readonly ledger: Ledger;
  readonly entry: Entry;
  readonly #ledgers: WatchedMap<string, Ledger>;
  readonly #ledgersRemoved: number;
  readonly #entriesRemoved: number;

  constructor(ledgers: WatchedMap<string, Ledger>, key: string, ledger: Ledger, entry: Entry) {
    this.key = key;
    this.ledger = ledger;
    this.entry = entry;
    this.#ledgers = ledgers;
    this.#ledgersRemoved = ledgers.removals;
    this.#entriesRemoved = ledger.entries.removals;
  }

  /** Whether a look into `ledgers` would find the same. */
  isIn(ledgers: WatchedMap<string, Ledger>): boolean {
    return (
      this.#ledgers === ledgers &&
      this.#ledgersRemoved === ledgers.removals &&
      this.#entriesRemoved === this.ledger.entries.removals
    );
  }
}
