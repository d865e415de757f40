// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rendered violations of the reports written lately, so that one that did not change is not rendered again.
// Invariant: bounded; at the bound those of the report written the longest ago are dropped, and rendered again.

import type { Entry } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { toViolationText } from "../api/report-text.ts";
import type { Violation } from "../api/v1alpha1.ts";
import { byteLength } from "../lib/sanitize.ts";

/** Estimated: an object and its text take about three times the text. */
const MAX_BYTES = 8 * 1024 * 1024;
const WEIGHT = 3;

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
}

export class RenderedViolations {
  readonly #maxBytes: number;
  /** In the order of the last write. */
  readonly #reports = new Map<Ledger, OfReport>();
  bytes = 0;
  rendered = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Begins a report; returns a function that renders an entry of it, with `render` where it has changed. */
  begin(ledger: Ledger): (entry: Entry, facts: string, render: () => Violation) => RenderedViolation {
    const before = this.#reports.get(ledger);
    this.delete(ledger);
    const next: OfReport = { known: new Map(), bytes: 0 };
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

  /** Drops a report that is no more, or that gets another base. */
  delete(ledger: Ledger): void {
    this.bytes -= this.#reports.get(ledger)?.bytes ?? 0;
    this.#reports.delete(ledger);
  }

  #render(render: () => Violation): RenderedViolation {
    this.rendered++;
    const violation = render();
    return { violation, bytes: byteLength(toViolationText(violation)) };
  }

  #keep(report: OfReport, entry: Entry, known: Known): void {
    report.known.set(entry, known);
    report.bytes += WEIGHT * known.bytes;
    this.bytes += WEIGHT * known.bytes;
    for (const [ledger, oldest] of this.#reports) {
      if (this.bytes <= this.#maxBytes) return;
      if (oldest !== report) this.delete(ledger);
    }
  }
}
