// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes a batch as rows.
// Invariant: runs within a transaction of its caller's.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LayerRow, ReportChange } from "../aggregate/ledger/change-log.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Batch, Recovered } from "./journal.ts";
import { computeChecksum, hasRightSum, type Row, readTable } from "./journal-rows-in.ts";

/** A row without evidence keeps the evidence that is there. */
const PUT_VIOLATION = `INSERT INTO violation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (report, seq, key) DO UPDATE SET occurrences = excluded.occurrences, first_us = excluded.first_us,
    last_us = excluded.last_us, rule = excluded.rule, sum = excluded.sum, evidence = coalesce(excluded.evidence, evidence),
    evidence_sum = coalesce(excluded.evidence_sum, evidence_sum)`;

type Life = Pick<Recovered, "writerId" | "readUntilMs" | "reservedSeq">;

export class BatchWriter {
  readonly #db: DatabaseSync;
  readonly #reports = new Map<string, number>();
  /** Numbers of the sets of each report. */
  readonly #layers = new Map<number, Set<number>>();
  /** Sets with damaged rows, or none. The next process has to learn of them until reports have a gap for them. */
  #missing = 0;
  #lastReport = 0;
  #life: Life = { writerId: "", readUntilMs: 0, reservedSeq: 0 };
  readonly #putLife: StatementSync;
  readonly #report: StatementSync;
  readonly #layer: StatementSync;
  readonly #violation: StatementSync;
  readonly #pod: StatementSync;
  readonly #clear: readonly StatementSync[];
  readonly #remove: StatementSync;
  readonly #removeLayer: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#putLife = db.prepare("INSERT OR REPLACE INTO life VALUES (1, ?, ?, ?, ?, ?, ?)");
    this.#report = db.prepare("INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?)");
    this.#layer = db.prepare("INSERT OR REPLACE INTO layer VALUES (?, ?, ?, ?, ?)");
    this.#violation = db.prepare(PUT_VIOLATION);
    this.#pod = db.prepare("INSERT OR REPLACE INTO pod VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#clear = ["layer", "violation", "pod"].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE report = ? AND seq > ? AND seq <= ?`),
    );
    this.#remove = db.prepare("DELETE FROM report WHERE id = ?");
    this.#removeLayer = db.prepare("DELETE FROM layer WHERE report = ? AND seq = ?");
    this.forget();
  }

  /** Stores the identity of the writer in an empty journal. */
  begin(life: Life): void {
    this.#reports.clear();
    this.#layers.clear();
    this.#missing = 0;
    this.#writeLife(life, false);
  }

  reserve(reservedSeq: number): void {
    this.#writeLife({ ...this.#life, reservedSeq }, false);
  }

  /** Reads again what is known of the tables, after a transaction was rolled back. */
  forget(): void {
    this.#reports.clear();
    this.#layers.clear();
    const [life] = readTable(this.#db, "life");
    if (life) {
      const { writer_id, read_until_ms, reserved_seq } = life;
      this.#life = {
        writerId: String(writer_id),
        readUntilMs: Number(read_until_ms),
        reservedSeq: Number(reserved_seq),
      };
    }
    for (const row of readTable(this.#db, "report")) {
      const { id, namespace, policy } = row;
      this.#lastReport = Math.max(this.#lastReport, Number(id));
      const key = reportKey((namespace ?? undefined) as string | undefined, String(policy));
      if (hasRightSum(row)) this.#reports.set(key, Number(id));
    }
    const known = new Set(this.#reports.values());
    for (const row of readTable(this.#db, "layer")) {
      const report = Number(row["report"]);
      this.#lastReport = Math.max(this.#lastReport, report);
      if (hasRightSum(row) && known.has(report)) this.#readLayers(report).add(Number(row["seq"]));
    }
    this.#missing = Number(life?.["layers"] ?? 0) - this.#countLayers();
  }

  /** The number of a report's rows; undefined where it has none. `key` is a reportKey. */
  findId(key: string): number | undefined {
    return this.#reports.get(key);
  }

  write({ removed, changes, readUntilMs, reservedSeq, isLast, isDeclared, keptSeqs }: Batch): void {
    for (const key of removed) {
      const id = this.#reports.get(key);
      if (id === undefined) continue;
      const keptSeq = keptSeqs?.get(key) ?? 0;
      this.#forgetSets(id, keptSeq, Number.MAX_SAFE_INTEGER);
      if (keptSeq > 0) continue;
      this.#remove.run(id);
      this.#reports.delete(key);
    }
    for (const change of changes) this.#writeChange(change, keptSeqs);
    if (isDeclared && this.#missing !== 0) this.#removeUnknown();
    this.#writeLife({ ...this.#life, readUntilMs, reservedSeq }, isLast);
  }

  #writeLife(life: Life, isComplete: boolean): void {
    const layers = this.#countLayers() + this.#missing;
    const values = [life.writerId, life.readUntilMs, life.reservedSeq, isComplete ? 1 : 0, layers] as const;
    this.#putLife.run(...values, computeChecksum(...values));
    this.#life = life;
  }

  #countLayers(): number {
    let layers = 0;
    for (const { size } of this.#layers.values()) layers += size;
    return layers;
  }

  /** Removes what damaged rows have left: rows of no known set. */
  #removeUnknown(): void {
    const known = new Set(this.#reports.values());
    const isKnown = ({ report, seq }: Row) => this.#layers.get(Number(report))?.has(Number(seq)) === true;
    const reports = [...readTable(this.#db, "report")].filter(({ id }) => !known.has(Number(id)));
    const layers = [...readTable(this.#db, "layer")].filter((row) => !isKnown(row));
    for (const { id = null } of reports) this.#remove.run(id);
    for (const { report = null, seq = null } of layers) this.#removeLayer.run(report, seq);
    for (const table of ["violation", "pod"])
      this.#db.exec(`DELETE FROM ${table} WHERE (report, seq) NOT IN (SELECT report, seq FROM layer)`);
    this.#missing = 0;
  }

  #writeChange(change: ReportChange, keptSeqs: Batch["keptSeqs"]): void {
    const { namespace, policyName, removesRows, persistedSeq, layers } = change;
    const key = reportKey(namespace, policyName);
    let id = this.#reports.get(key);
    if (id !== undefined && removesRows) this.#forgetSets(id, keptSeqs?.get(key) ?? 0, Number.MAX_SAFE_INTEGER);
    else if (id !== undefined && persistedSeq > 0) this.#forgetSets(id, 0, persistedSeq);
    if (layers.length === 0) return;
    if (id === undefined) {
      id = ++this.#lastReport;
      const values = [id, namespace ?? null, policyName] as const;
      this.#report.run(...values, computeChecksum(...values));
      this.#reports.set(key, id);
    }
    for (const layer of layers) this.#put(id, layer);
  }

  #put(report: number, { seq, totals, policy, violations }: LayerRow): void {
    const layer = [report, seq, JSON.stringify(totals), JSON.stringify(policy)] as const;
    this.#layer.run(...layer, computeChecksum(...layer));
    this.#readLayers(report).add(seq);
    for (const { key, occurrences, firstUs, lastUs, rule, evidence, pods } of violations) {
      const row = [report, seq, key, occurrences, firstUs, lastUs, rule] as const;
      const latest = evidence === undefined ? null : JSON.stringify(evidence);
      const latestSum = latest === null ? null : computeChecksum(report, seq, key, latest);
      this.#violation.run(...row, computeChecksum(...row), latest, latestSum);
      for (const pod of pods) {
        const values = [report, seq, key, pod.key, pod.name, pod.node, pod.occurrences, pod.lastUs] as const;
        this.#pod.run(...values, computeChecksum(...values));
      }
    }
  }

  #readLayers(report: number): Set<number> {
    let layers = this.#layers.get(report);
    if (!layers) {
      layers = new Set();
      this.#layers.set(report, layers);
    }
    return layers;
  }

  /** Removes the rows of the sets after one and up to another. */
  #forgetSets(report: number, after: number, upTo: number): void {
    for (const statement of this.#clear) statement.run(report, after, upTo);
    const layers = this.#readLayers(report);
    for (const seq of layers) if (seq > after && seq <= upTo) layers.delete(seq);
    if (layers.size === 0) this.#layers.delete(report);
  }
}
