// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads a whole journal at the start, before anything else runs. Invariant: a row with a wrong checksum is left out and
// counted; where totals may be missing, their report is marked.

import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { emptyTotals, type Totals } from "../aggregate/counts/totals.ts";
import type { ViolationRow } from "../aggregate/entries/change-rows.ts";
import type { LayerRow } from "../aggregate/ledger/change-log.ts";
import type { Evidence } from "../api/v1alpha1.ts";
import { isIdentityKey, type PolicyFacts } from "../ingest/violation/violation.ts";
import type { Extent, Recovered, RecoveredReport } from "./journal.ts";

type Value = string | number | null;
type Row = Readonly<Record<string, Value>>;

const NO_POLICY: PolicyFacts = { kind: "Unknown", severity: 0, tags: [], message: "" };

/** Reads the rows; undefined for a new journal, `damaged` where its writer can't be read. */
export function readAll(db: DatabaseSync, extent: Extent): Recovered | undefined | "damaged" {
  const [life] = [...readTable(db, "life")];
  if (!life) return undefined;
  const { sum, one: _, ...values } = life;
  if (sum !== computeChecksum(...Object.values(values))) return "damaged";
  return {
    writerId: String(life["writer_id"]),
    readUntilMs: Number(life["read_until_ms"]),
    reservedSeq: Number(life["reserved_seq"]),
    isComplete: life["is_complete"] === 1,
    ...new Reader(db).read(Number(life["layers"]), extent),
  };
}

class Reader {
  readonly #db: DatabaseSync;
  readonly #reports = new Map<Value, RecoveredReport>();
  readonly #layers = new Map<string, LayerRow>();
  readonly #violations = new Map<string, ViolationRow>();
  #damagedRows = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  read(expectedLayers: number, extent: Extent): Pick<Recovered, "damagedRows" | "isDamaged" | "reports"> {
    for (const { id, namespace, policy } of this.#readRows("report")) {
      const place = { namespace: namespace === null ? undefined : String(namespace), policyName: String(policy) };
      this.#reports.set(id as Value, { ...place, layers: [], isDamaged: false });
    }
    for (const row of this.#readRows("layer")) this.#readLayer(row);
    const isDamaged = this.#layers.size !== expectedLayers;
    if (extent === "all") {
      for (const row of this.#readRows("violation")) this.#readViolation(row);
      for (const row of this.#readRows("pod")) this.#readPod(row);
    }
    const reports = [...this.#reports.values()].filter(({ layers }) => layers.length > 0);
    for (const { layers } of reports) layers.sort((a, b) => a.seq - b.seq);
    return { damagedRows: this.#damagedRows, isDamaged, reports };
  }

  /** Yields the rows of a table that have the right checksum. */
  *#readRows(table: string): Iterable<Row> {
    for (const row of readTable(this.#db, table)) {
      const { sum, evidence: _, evidence_sum: __, ...values } = row;
      if (sum === computeChecksum(...Object.values(values))) yield row;
      else this.#damagedRows++;
    }
  }

  #readLayer({ report, seq, totals, policy }: Row): void {
    this.#addLayer(report as Value, {
      seq: Number(seq),
      totals: parseTotals(String(totals)),
      policy: JSON.parse(String(policy)) as PolicyFacts,
      violations: [],
    });
  }

  #addLayer(report: Value, layer: LayerRow): LayerRow | undefined {
    const found = this.#reports.get(report);
    if (!found) return undefined;
    this.#layers.set(`${report} ${layer.seq}`, layer);
    found.layers.push(layer);
    return layer;
  }

  #readViolation(row: Row): void {
    const { report = null, seq = null, key = null, evidence = null, evidence_sum: sum } = row;
    const layer = this.#layers.get(`${report} ${seq}`) ?? this.#restoreLayer(report, Number(seq));
    if (!layer) return;
    const isGood = sum === (evidence === null ? null : computeChecksum(report, seq, key, evidence));
    if (!isGood || !isIdentityKey(String(key))) this.#damagedRows++;
    if (!isIdentityKey(String(key))) return;
    const violation: ViolationRow = {
      key: String(key),
      occurrences: Number(row["occurrences"]),
      firstUs: Number(row["first_us"]),
      lastUs: Number(row["last_us"]),
      rule: String(row["rule"]),
      evidence: isGood && evidence !== null ? (JSON.parse(String(evidence)) as Evidence) : undefined,
      pods: [],
    };
    this.#violations.set(`${report} ${seq} ${key}`, violation);
    layer.violations.push(violation);
  }

  /** Replaces a damaged set row: the set's violations are a lower bound of it. */
  #restoreLayer(report: Value, seq: number): LayerRow | undefined {
    const layer = this.#addLayer(report, { seq, totals: emptyTotals(), policy: NO_POLICY, violations: [] });
    const found = this.#reports.get(report);
    if (found) found.isDamaged = true;
    return layer;
  }

  #readPod({ report, seq, violation, key, name, node, occurrences, last_us: lastUs }: Row): void {
    this.#violations
      .get(`${report} ${seq} ${violation}`)
      ?.pods.push({
        key: String(key),
        name: String(name),
        node: String(node),
        occurrences: Number(occurrences),
        lastUs: Number(lastUs),
      });
  }
}

/** Yields all rows of a table; a number that is too large in a damaged row is yielded as another number. */
export function* readTable(db: DatabaseSync, table: string): Iterable<Row> {
  const select = db.prepare(`SELECT * FROM ${table}`);
  select.setReadBigInts(true);
  for (const row of select.iterate()) {
    // A journal has hundreds of thousands of rows: no copy of each.
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
