// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rendered violations of some reports, so that one that did not change is not rendered again.
// Invariant: bounded. At the bound no further one is kept, and a report that was not among the last MAX_TURNS makes room:
// where more reports change in turn than fit, each would else drop another one just before it is written again.

import type { Entry } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { toViolationText } from "../api/report-text.ts";
import type { Violation } from "../api/v1alpha1.ts";

/** Estimated: an object and its text take about three times the text. */
const MAX_BYTES = 8 * 1024 * 1024;
const WEIGHT = 3;
/** Reports rendered without a further write of one, after which its violations are dropped. */
const MAX_TURNS = 1000;

export interface RenderedViolation {
  violation: Violation;
  /** As JSON. */
  bytes: number;
}

interface Known extends RenderedViolation {
  /** Inputs of the rendering beside the counts. */
  facts: string;
  /** Every change of what is written changes this, but for another base. */
  occurrences: number;
}

interface OfReport {
  known: Map<Entry, Known>;
  bytes: number;
  turn: number;
}

export class RenderedViolations {
  readonly #maxBytes: number;
  readonly #maxTurns: number;
  /** In the order of the last write. */
  readonly #reports = new Map<Ledger, OfReport>();
  /** Reports begun. */
  #turn = 0;
  bytes = 0;
  rendered = 0;

  constructor({ maxBytes = MAX_BYTES, maxTurns = MAX_TURNS } = {}) {
    this.#maxBytes = maxBytes;
    this.#maxTurns = maxTurns;
  }

  /** Begins a report; returns a function that renders an entry of it, with `render` where it has changed. */
  begin(ledger: Ledger): (entry: Entry, facts: string, render: () => Violation) => RenderedViolation {
    const before = this.#reports.get(ledger);
    this.delete(ledger);
    this.#turn++;
    this.#dropIdle();
    const next: OfReport = { known: new Map(), bytes: 0, turn: this.#turn };
    this.#reports.set(ledger, next);
    return (entry, facts, render) => {
      const occurrences = (entry.stored?.occurrences ?? 0) + (entry.inFlight?.occurrences ?? 0);
      const old = before?.known.get(entry);
      const isSame = old?.occurrences === occurrences && old.facts === facts;
      const known = isSame ? old : { ...this.#render(render), facts, occurrences };
      // Others may have taken its place meanwhile.
      if (this.#reports.get(ledger) === next) this.#keep(next, entry, known);
      return known;
    };
  }

  /** Drops a report that is deleted or gets another base. */
  delete(ledger: Ledger): void {
    this.bytes -= this.#reports.get(ledger)?.bytes ?? 0;
    this.#reports.delete(ledger);
  }

  #render(render: () => Violation): RenderedViolation {
    this.rendered++;
    const violation = render();
    return { violation, bytes: Buffer.byteLength(toViolationText(violation)) };
  }

  #keep(report: OfReport, entry: Entry, known: Known): void {
    const bytes = WEIGHT * known.bytes;
    if (this.bytes + bytes > this.#maxBytes) return;
    report.known.set(entry, known);
    report.bytes += bytes;
    this.bytes += bytes;
  }

  #dropIdle(): void {
    for (const [ledger, { turn }] of this.#reports) {
      if (this.#turn - turn <= this.#maxTurns) return;
      this.delete(ledger);
    }
  }
}
