// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the totals of a journal when it is opened, and the violations of a set when its report is continued. Invariant: a
// row with a wrong checksum is left out and counted; where totals may be missing, their report is marked.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { emptyTotals, type Totals } from "../aggregate/counts/totals.ts";
import type { PodRow, ViolationRow } from "../aggregate/entries/change-rows.ts";
import type { Evidence } from "../api/v1alpha1.ts";
import { isIdentityKey, type PolicyFacts } from "../ingest/violation/violation.ts";
import type { Recovered, RecoveredReport, ViolationPage } from "./journal.ts";

type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

const NO_POLICY: PolicyFacts = { kind: "Unknown", severity: 0, tags: [], message: "" };

/** Rows of violations and pods that are read at once, about: each takes some microseconds. A violation has all its pods. */
const ROWS_PER_PAGE = 128;

/** Reads all but the violations; undefined for a new journal, `damaged` where its writer can't be read. */
export function readTotals(db: DatabaseSync): Recovered | undefined | "damaged" {
  const [life] = [...readTable(db, "life")];
  if (!life) return undefined;
  const { one: _, ...values } = life;
  if (!hasRightSum(values)) return "damaged";
  return {
    writerId: String(life["writer_id"]),
    readUntilMs: Number(life["read_until_ms"]),
    reservedSeq: Number(life["reserved_seq"]),
    isComplete: life["is_complete"] === 1,
    ...new TotalsReader(db).read(Number(life["layers"])),
  };
}

class TotalsReader {
  readonly #db: DatabaseSync;
  readonly #reports = new Map<number, RecoveredReport>();
  #layers = 0;
  #damagedRows = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  read(expectedLayers: number): Pick<Recovered, "damagedRows" | "isDamaged" | "reports"> {
    for (const { id, namespace, policy } of this.#readRows("report")) {
      const place = { namespace: namespace === null ? undefined : String(namespace), policyName: String(policy) };
      this.#reports.set(Number(id), { ...place, layers: [], isDamaged: false });
    }
    for (const row of this.#readRows("layer")) this.#readLayer(row);
    const isDamaged = this.#layers !== expectedLayers;
    if (isDamaged) this.#restoreLayers();
    const reports = [...this.#reports.values()].filter(({ layers }) => layers.length > 0);
    for (const { layers } of reports) layers.sort((a, b) => a.seq - b.seq);
    return { damagedRows: this.#damagedRows, isDamaged, reports };
  }

  /** Yields the rows of a table that have the right checksum. */
  *#readRows(table: string): Iterable<Row> {
    for (const row of readTable(this.#db, table)) {
      if (hasRightSum(row)) yield row;
      else this.#damagedRows++;
    }
  }

  #readLayer({ report, seq, totals, policy }: Row): void {
    const found = this.#reports.get(Number(report));
    if (!found) return;
    const facts = JSON.parse(String(policy)) as PolicyFacts;
    found.layers.push({ seq: Number(seq), totals: parseTotals(String(totals)), policy: facts });
    this.#layers++;
  }

  /** Replaces damaged rows of sets that have violations: these are a lower bound of the set. */
  #restoreLayers(): void {
    const violations = new ViolationReader(this.#db);
    for (const { report, seq } of readAll(this.#db.prepare("SELECT DISTINCT report, seq FROM violation"))) {
      const found = this.#reports.get(Number(report));
      if (!found || found.layers.some((layer) => layer.seq === seq)) continue;
      const { violations: first, last } = violations.readPage(Number(report), Number(seq), "");
      if (first.length === 0 && last === undefined) continue;
      found.layers.push({ seq: Number(seq), totals: emptyTotals(), policy: NO_POLICY });
      found.isDamaged = true;
    }
  }
}

/** Reads the violations of one set, some at a time. */
export class ViolationReader {
  readonly #violations: StatementSync;
  readonly #pods: StatementSync;

  constructor(db: DatabaseSync) {
    this.#violations = db.prepare("SELECT * FROM violation WHERE report = ? AND seq = ? AND key > ? ORDER BY key");
    this.#pods = db.prepare("SELECT * FROM pod WHERE report = ? AND seq = ? AND violation = ?");
  }

  readPage(report: number, seq: number, after: string): ViolationPage {
    const page: ViolationPage = { violations: [], last: undefined, damagedRows: 0 };
    let rows = 0;
    for (const row of readAll(this.#violations, report, seq, after)) {
      const last = page.violations.at(-1)?.key;
      if (rows >= ROWS_PER_PAGE && last !== undefined) {
        page.last = last;
        break;
      }
      rows++;
      const violation = readViolation(page, row);
      // A damaged key can lead SQLite to rows of earlier pages.
      if (!violation || !isAfter(violation.key, last ?? after)) continue;
      rows += this.#readPods(page, violation, report, seq);
      page.violations.push(violation);
    }
    return page;
  }

  /** Returns the number of rows. */
  #readPods(page: ViolationPage, { key, pods }: ViolationRow, report: number, seq: number): number {
    let rows = 0;
    for (const row of readAll(this.#pods, report, seq, key)) {
      if (hasRightSum(row)) pods.push(toPod(row));
      else page.damagedRows++;
      rows++;
    }
    return rows;
  }
}

/** Compares keys as SQLite does. */
function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}

/** Returns undefined for a damaged row. */
function readViolation(page: ViolationPage, row: Row): ViolationRow | undefined {
  const { evidence = null, evidence_sum: evidenceSum, ...values } = row;
  const { report = null, seq = null, key = null } = row;
  const isGood = hasRightSum(values) && isIdentityKey(String(key));
  const isEvidenceGood = evidenceSum === (evidence === null ? null : computeChecksum(report, seq, key, evidence));
  if (!isGood || !isEvidenceGood) page.damagedRows++;
  if (!isGood) return undefined;
  return {
    key: String(key),
    occurrences: Number(row["occurrences"]),
    firstUs: Number(row["first_us"]),
    lastUs: Number(row["last_us"]),
    rule: String(row["rule"]),
    evidence: isEvidenceGood && evidence !== null ? (JSON.parse(String(evidence)) as Evidence) : undefined,
    pods: [],
  };
}

function toPod({ key, name, node, occurrences, last_us: lastUs }: Row): PodRow {
  return {
    key: String(key),
    name: String(name),
    node: String(node),
    occurrences: Number(occurrences),
    lastUs: Number(lastUs),
  };
}

/** True where no value of the row has changed on the disk. */
export function hasRightSum({ sum, ...values }: Row): boolean {
  return sum === computeChecksum(...Object.values(values));
}

export function readTable(db: DatabaseSync, table: string): Iterable<Row> {
  return readAll(db.prepare(`SELECT * FROM ${table}`));
}

/** Yields all rows; a number that is too large in a damaged row is yielded as another number. */
function* readAll(select: StatementSync, ...values: Value[]): Iterable<Row> {
  select.setReadBigInts(true);
  for (const row of select.iterate(...values)) {
    // No copy of each row: there are many.
    for (const name in row) if (typeof row[name] === "bigint") row[name] = Number(row[name]);
    yield row as Row;
  }
}

/** JSON has no infinity: the first time of a set without alerts. */
function parseTotals(text: string): Totals {
  const totals = JSON.parse(text) as Totals;
  return { ...totals, firstUs: totals.firstUs ?? Number.POSITIVE_INFINITY };
}

/** Checksum of a row's values, in the order of its columns; SQLite's own check of a file finds no changed value. */
export function computeChecksum(...values: Value[]): number {
  return crc32(JSON.stringify(values));
}
