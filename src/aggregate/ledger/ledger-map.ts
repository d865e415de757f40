// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ledgers by the key of their report, and by namespace: what concerns one namespace looks at no report of another.

import type { Ledger } from "./ledger.ts";

export class LedgerMap extends Map<string, Ledger> {
  readonly #byNamespace = new Map<string | undefined, Map<string, Ledger>>();

  override set(key: string, ledger: Ledger): this {
    this.delete(key);
    const own = this.#byNamespace.get(ledger.namespace) ?? new Map();
    this.#byNamespace.set(ledger.namespace, own.set(key, ledger));
    return super.set(key, ledger);
  }

  override delete(key: string): boolean {
    const ledger = this.get(key);
    if (!ledger) return false;
    const own = this.#byNamespace.get(ledger.namespace);
    own?.delete(key);
    if (own?.size === 0) this.#byNamespace.delete(ledger.namespace);
    return super.delete(key);
  }

  override clear(): void {
    this.#byNamespace.clear();
    super.clear();
  }

  /** The reports of a namespace; undefined: the cluster reports. */
  listOfNamespace(namespace: string | undefined): ReadonlyMap<string, Ledger> {
    return this.#byNamespace.get(namespace) ?? NONE;
  }
}

const NONE: ReadonlyMap<string, Ledger> = new Map();
