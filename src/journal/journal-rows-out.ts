// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// How a batch becomes rows.
// Invariant: runs within a transaction of its caller's.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LayerRow, ReportChange } from "../aggregate/change-log.ts";
import { reportKey } from "../ingest/violation.ts";
import type { Batch } from "./journal.ts";

/** A row without evidence leaves what was told before. */
const PUT_VIOLATION = `INSERT INTO violation VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (report, seq, key) DO UPDATE SET occurrences = excluded.occurrences, first_us = excluded.first_us,
    last_us = excluded.last_us, evidence = coalesce(excluded.evidence, evidence)`;

export class BatchWriter {
  readonly #db: DatabaseSync;
  readonly #reports = new Map<string, number>();
  readonly #life: StatementSync;
  readonly #report: StatementSync;
  readonly #layer: StatementSync;
  readonly #violation: StatementSync;
  readonly #pod: StatementSync;
  readonly #clear: readonly StatementSync[];
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#life = db.prepare("UPDATE life SET read_until_ms = ?, reserved_seq = ?, is_complete = ?");
    this.#report = db.prepare("INSERT INTO report (namespace, policy) VALUES (?, ?)");
    this.#layer = db.prepare("INSERT OR REPLACE INTO layer VALUES (?, ?, ?, ?)");
    this.#violation = db.prepare(PUT_VIOLATION);
    this.#pod = db.prepare("INSERT OR REPLACE INTO pod VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    this.#clear = ["layer", "violation", "pod"].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE report = ? AND seq <= ?`),
    );
    this.#remove = db.prepare("DELETE FROM report WHERE id = ?");
    this.forget();
  }

  /** The transaction was taken back: what is known of the tables is read again. */
  forget(): void {
    this.#reports.clear();
    for (const { id, namespace, policy } of this.#db
      .prepare("SELECT id, namespace, policy FROM report")
      .all()) {
      this.#reports.set(
        reportKey((namespace ?? undefined) as string | undefined, String(policy)),
        Number(id),
      );
    }
  }

  write({ removed, changes, readUntilMs, reservedSeq, isLast }: Batch): void {
    for (const key of removed) {
      const id = this.#reports.get(key);
      if (id === undefined) continue;
      this.#forgetUpTo(id, Number.MAX_SAFE_INTEGER);
      this.#remove.run(id);
      this.#reports.delete(key);
    }
    for (const change of changes) this.#change(change);
    this.#life.run(readUntilMs, reservedSeq, isLast ? 1 : 0);
  }

  #change({ namespace, policyName, isAnew, persistedSeq, layers }: ReportChange): void {
    const key = reportKey(namespace, policyName);
    let id = this.#reports.get(key);
    if (id !== undefined && isAnew) this.#forgetUpTo(id, Number.MAX_SAFE_INTEGER);
    else if (id !== undefined && persistedSeq > 0) this.#forgetUpTo(id, persistedSeq);
    if (layers.length === 0) return;
    if (id === undefined) {
      id = Number(this.#report.run(namespace ?? null, policyName).lastInsertRowid);
      this.#reports.set(key, id);
    }
    for (const layer of layers) this.#put(id, layer);
  }

  #put(report: number, { seq, totals, policy, violations }: LayerRow): void {
    this.#layer.run(report, seq, JSON.stringify(totals), JSON.stringify(policy));
    for (const { key, occurrences, firstUs, lastUs, evidence, pods } of violations) {
      const latest = evidence === undefined ? null : JSON.stringify(evidence);
      this.#violation.run(report, seq, key, occurrences, firstUs, lastUs, latest);
      for (const pod of pods) {
        this.#pod.run(report, seq, key, pod.key, pod.name, pod.node, pod.occurrences, pod.lastUs);
      }
    }
  }

  #forgetUpTo(report: number, seq: number): void {
    for (const statement of this.#clear) statement.run(report, seq);
  }
}
