// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Facts that concern all reports, added to them in steps, or held until the report is written: there may be 20,000 of them.
// Invariant: a report that exists when something is declared gets it once, and before pending totals leave its ledger.

import { reportKey } from "../../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { LedgerMap } from "../ledger/ledger-map.ts";
import type { Urgency } from "./urgency.ts";

/** Adds the declared fact to a report; returns the urgency of its write, undefined where the report is not concerned. */
export type Declaration = (ledger: Ledger) => Urgency | undefined;

export interface DeclarationParts {
  ledgers: LedgerMap;
  onDirty: (key: string, urgency: Urgency) => void;
  /** Runs steps, the first of them at once. */
  run: (steps: Steps) => void;
}

export class Declarations {
  readonly #parts: DeclarationParts;
  /** Declarations that reports may lack, the oldest first. */
  readonly #recent: Declaration[] = [];
  /** Declarations before those, which all reports have. */
  #before = 0;
  /** Declarations that a report has, or that are older than the report. */
  readonly #added = new WeakMap<Ledger, number>();
  #isRunning = false;

  constructor(parts: DeclarationParts) {
    this.#parts = parts;
  }

  /** Declares in every report that exists now. */
  declare(declaration: Declaration): void {
    this.hold(declaration);
    this.addToAll();
  }

  /** Declares as declare does, but a report gets it with addTo or addToAll, and needs no write until then. */
  hold(declaration: Declaration): void {
    this.#recent.push(declaration);
  }

  /** Adds to every report the declarations that it lacks. */
  addToAll(): void {
    if (this.#isRunning || this.#recent.length === 0) return;
    this.#isRunning = true;
    this.#parts.run(this.#visitAll());
  }

  /** True while addToAll is under way. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Declarations that reports may lack. */
  get waiting(): number {
    return this.#recent.length;
  }

  /** Records that a report begins: earlier declarations do not concern it. */
  begin(ledger: Ledger): void {
    this.#added.set(ledger, this.#count);
  }

  /** Records that a report is given away: later declarations concern the one that gets its counts. */
  end(ledger: Ledger): void {
    this.addTo(ledger);
    this.#added.set(ledger, Number.POSITIVE_INFINITY);
  }

  /** Adds to a report the declarations that it lacks. */
  addTo(ledger: Ledger): void {
    const added = this.#added.get(ledger) ?? this.#count;
    if (added >= this.#count) return;
    this.#added.set(ledger, this.#count);
    for (const declaration of this.#recent.slice(Math.max(0, added - this.#before))) {
      const urgency = declaration(ledger);
      if (urgency) this.#parts.onDirty(reportKey(ledger.namespace, ledger.policyName), urgency);
    }
  }

  get #count(): number {
    return this.#before + this.#recent.length;
  }

  *#visitAll(): Steps {
    while (this.#recent.length > 0) {
      const { length } = this.#recent;
      yield* visitInSteps(this.#parts.ledgers.values(), (ledger) => this.addTo(ledger));
      this.#recent.splice(0, length);
      this.#before += length;
    }
    this.#isRunning = false;
  }
}
