// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts as bytes through ingest and cells into an aggregator.

import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { SetNumbers } from "../../../src/aggregate/set-numbers.ts";
import { RawAlertReader } from "../../../src/alerts/protobuf-scanner.ts";
import type { Alert } from "../../../src/api/alert.ts";
import { AlertHash } from "../../../src/ingest/alert-hash.ts";
import { type CellBounds, CellStore } from "../../../src/ingest/cell-store.ts";
import { DuplicateFilter } from "../../../src/ingest/duplicates.ts";
import { Ingest } from "../../../src/ingest/ingest.ts";
import { IngestCounters } from "../../../src/ingest/ingest-counters.ts";
import { createRedactor } from "../../../src/ingest/redact.ts";
import { SubjectNames } from "../../../src/ingest/subject-names.ts";
import type { WireAlert } from "../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../tools/kubearmor-node/wire.ts";
import { alert, MEMORY, START_US } from "../../support/gen.ts";

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
export function newBed(
  bounds: CellBounds = { maxCells: 1000, maxBytes: 10_000_000 },
  maxViolations = 200_000,
): Bed {
  const redact = createRedactor();
  const cells = new CellStore(bounds, redact);
  const aggregator = new Aggregator(
    { ...MEMORY, maxViolations },
    () => {},
    { numbers: new SetNumbers() },
    cells,
  );
  const counters = new IngestCounters();
  const reader = new CountingReader();
  const ingest = new Ingest({
    findRefusal: () => undefined,
    selector: { tally: aggregator },
    hash: new AlertHash({ low: 1, high: 2 }),
    duplicates: new DuplicateFilter({ windowMs: 60_000, maxEntries: 1000 }),
    cells,
    redact,
    names: new SubjectNames(),
    counters,
    nowUs: () => START_US + 3_600_000_000,
    onRejected: () => {},
    onThrottled: () => {},
  });
  const send = (...mods: Partial<Alert>[]) => {
    const { OwnerRef, OwnerName, OwnerNamespace, ExecID, ExecutableName, ...flat } = alert(...mods);
    const Owner = { Ref: OwnerRef, Name: OwnerName, Namespace: OwnerNamespace };
    const wire = { ...flat, Owner, ExecEvent: { ExecID, ExecutableName } } as unknown as WireAlert;
    if (!reader.find(encodeAlert(wire))) throw new Error("the alert is unusual");
    ingest.alert(reader, 0);
  };
  return { aggregator, cells, counters, reader, send };
}
