// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What a journal holds, read whole: at the start, before there is anything else to do.

import type { DatabaseSync } from "node:sqlite";
import type { LayerRow, PodRow, ViolationRow } from "../aggregate/change-log.ts";
import type { Totals } from "../aggregate/totals.ts";
import type { Evidence } from "../api/v1alpha1.ts";
import type { PolicyFacts } from "../ingest/violation.ts";
import type { Recovered, RecoveredReport } from "./journal.ts";

interface LifeRecord {
  writer_id: string;
  read_until_ms: number;
  reserved_seq: number;
  is_complete: number;
}

interface LayerRecord {
  id: number;
  namespace: string | null;
  policy_name: string;
  seq: number;
  totals: string;
  policy: string;
}

interface ViolationRecord {
  report: number;
  seq: number;
  key: string;
  occurrences: number;
  first_us: number;
  last_us: number;
  evidence: string | null;
}

interface PodRecord {
  report: number;
  seq: number;
  violation: string;
  key: string;
  name: string;
  node: string;
  occurrences: number;
  last_us: number;
}

/** Reads everything; undefined when nobody has ever written. */
export function readAll(db: DatabaseSync): Recovered | undefined {
  const [life] = db.prepare("SELECT * FROM life").all() as unknown as LifeRecord[];
  if (!life) return undefined;
  return {
    writerId: life.writer_id,
    readUntilMs: life.read_until_ms,
    reservedSeq: life.reserved_seq,
    isComplete: life.is_complete === 1,
    reports: readReports(db),
  };
}

function readReports(db: DatabaseSync): RecoveredReport[] {
  const reports = new Map<number, RecoveredReport>();
  const layers = new Map<string, LayerRow>();
  const violations = new Map<string, ViolationRow>();
  const sql = `SELECT report.id, namespace, report.policy AS policy_name, seq, totals, layer.policy
    FROM layer JOIN report ON report.id = layer.report ORDER BY report.id, seq`;
  for (const row of db.prepare(sql).iterate() as Iterable<unknown> as Iterable<LayerRecord>) {
    const layer: LayerRow = {
      seq: row.seq,
      totals: totalsOf(row.totals),
      policy: JSON.parse(row.policy) as PolicyFacts,
      violations: [],
    };
    layers.set(`${row.id} ${row.seq}`, layer);
    const report = reports.get(row.id);
    if (report) report.layers.push(layer);
    else
      reports.set(row.id, {
        namespace: row.namespace ?? undefined,
        policyName: row.policy_name,
        layers: [layer],
      });
  }
  for (const row of all<ViolationRecord>(db, "violation")) {
    const violation = violationOf(row);
    violations.set(`${row.report} ${row.seq} ${row.key}`, violation);
    layers.get(`${row.report} ${row.seq}`)?.violations.push(violation);
  }
  for (const row of all<PodRecord>(db, "pod")) {
    violations.get(`${row.report} ${row.seq} ${row.violation}`)?.pods.push(podOf(row));
  }
  return [...reports.values()];
}

function all<T>(db: DatabaseSync, table: string): Iterable<T> {
  return db.prepare(`SELECT * FROM ${table}`).iterate() as Iterable<unknown> as Iterable<T>;
}

/** JSON has no infinity: the first time of what was never seen. */
function totalsOf(text: string): Totals {
  const totals = JSON.parse(text) as Totals;
  return { ...totals, firstUs: totals.firstUs ?? Number.POSITIVE_INFINITY };
}

function violationOf({ key, occurrences, first_us, last_us, evidence }: ViolationRecord): ViolationRow {
  const latest = evidence === null ? undefined : (JSON.parse(evidence) as Evidence);
  return { key, occurrences, firstUs: first_us, lastUs: last_us, evidence: latest, pods: [] };
}

function podOf({ key, name, node, occurrences, last_us }: PodRecord): PodRow {
  return { key, name, node, occurrences, lastUs: last_us };
}
