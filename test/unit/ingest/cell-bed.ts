// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts as bytes through ingest and cells into an aggregator.

import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../src/aggregate/counts/set-numbers.ts";
import { RawAlertReader } from "../../../src/alerts/decoding/protobuf-scanner.ts";
import type { Alert } from "../../../src/api/alert.ts";
import { type CellBounds, CellStore } from "../../../src/ingest/cells/cell-store.ts";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";
import type { IngestCounters } from "../../../src/ingest/ingest-counters.ts";
import { alert, MEMORY, START_US } from "../../support/gen.ts";
import { createIngest, toWire } from "../../support/ingest-bed.ts";

/** Counts the alerts that are read whole. */
export class CountingReader extends RawAlertReader {
  reads = 0;

  override read(bytes: Uint8Array): Alert {
    this.reads++;
    return super.read(bytes);
  }
}

export interface Bed {
  aggregator: Aggregator;
  cells: CellStore;
  counters: IngestCounters;
  reader: CountingReader;
  send: (...mods: Partial<Alert>[]) => void;
}

/** Its ledgers note changes for a journal. */
export function createBed(bounds: CellBounds = { maxCells: 1000, maxBytes: 10_000_000 }, maxViolations = 200_000): Bed {
  const cells = new CellStore(bounds, createRedactor());
  const journaled = { numbers: new SetNumbers() };
  const aggregator = new Aggregator({ ...MEMORY, maxViolations }, () => {}, journaled, { cells });
  const reader = new CountingReader();
  const { ingest, counters } = createIngest({ cells, nowUs: () => START_US + 3_600_000_000 }, aggregator);
  const send = (...mods: Partial<Alert>[]) => {
    if (!reader.find(toWire(alert(...mods)))) throw new Error("the alert is unusual");
    ingest.alert(reader, 0);
  };
  return { aggregator, cells, counters, reader, send };
}
