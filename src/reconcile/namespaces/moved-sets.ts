// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Sets of counts that went to a cluster report while the journal still has them under their namespace: the cluster report
// says so, or the next process of the journal would add them again.

import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { overrideSink } from "../../sinks/guarded-sink.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";
import { MovedPositions, parseMoved, raisePosition, setMoved } from "./moved-annotation.ts";

export interface MovedSetsParts {
  /** Writer of the journal. */
  writerId: string;
  /** Reports that are gone, of which the journal still has rows. */
  removed: { has(key: string): boolean };
}

/** A ControllerObserver. */
export class MovedSets {
  readonly #parts: MovedSetsParts;
  /** By policy; only those that a report lacks. */
  readonly #positions = new Map<string, MovedPositions>();

  constructor(parts: MovedSetsParts) {
    this.#parts = parts;
  }

  /** Called after the journal could take note of it. */
  onMoved({ namespace, policyName, sets }: Ledger): void {
    if (namespace === undefined || !this.#parts.removed.has(reportKey(namespace, policyName))) return;
    this.record(namespace, policyName, sets.pending);
  }

  /** Records that the pending counts of the cluster report stand for sets of the namespace up to `seq`. */
  record(namespace: string, policyName: string, seq: number): void {
    const known = this.#positions.get(policyName) ?? new MovedPositions();
    known.raise(namespace, seq);
    this.#positions.set(policyName, known);
  }

  onTaking({ namespace, policyName }: Ledger): undefined {
    if (namespace === undefined) this.#positions.get(policyName)?.take();
  }

  onWritten({ namespace, policyName }: Ledger): void {
    const known = namespace === undefined ? this.#positions.get(policyName) : undefined;
    known?.inFlight.clear();
    if (known?.isEmpty) this.#positions.delete(policyName);
  }

  /** Returns a sink that writes the positions with the counts. */
  mark(sink: ReportSink): ReportSink {
    return overrideSink(sink, { write: (report, signal) => sink.write(this.#addPositions(report), signal) });
  }

  #addPositions(report: Report): Report {
    const { metadata, policy } = report;
    const moved = metadata.namespace === undefined ? this.#positions.get(policy.name)?.inFlight : undefined;
    if (!moved?.size) return report;
    const { writerId } = this.#parts;
    const positions = parseMoved(metadata, writerId);
    for (const [namespace, seq] of moved) raisePosition(positions, namespace, seq);
    return { ...report, metadata: setMoved(metadata, writerId, positions) };
  }
}
