// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ingest with an aggregator, without the parts around them.

import type { Aggregator } from "../../src/aggregate/aggregator.ts";
import type { Alert } from "../../src/api/alert.ts";
import { AlertHash } from "../../src/ingest/cells/alert-hash.ts";
import { CellStore } from "../../src/ingest/cells/cell-store.ts";
import { DuplicateFilter } from "../../src/ingest/duplicates.ts";
import { createRedactor } from "../../src/ingest/evidence/redact.ts";
import { Ingest, type IngestParts } from "../../src/ingest/ingest.ts";
import { IngestCounters } from "../../src/ingest/ingest-counters.ts";
import { SubjectNames } from "../../src/ingest/violation/subject-names.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../tools/kubearmor-node/wire.ts";
import { createAggregator } from "../unit/ingest/fold-alerts.ts";
import { START_US } from "./gen.ts";

export interface IngestBed {
  aggregator: Aggregator;
  cells: CellStore;
  counters: IngestCounters;
  ingest: Ingest;
}

/** With an aggregator of its own, `parts` must have its cells. */
export function createIngest(parts: Partial<IngestParts> = {}, ownAggregator?: Aggregator): IngestBed {
  const redact = createRedactor();
  const { cells = new CellStore({ maxCells: 1000, maxBytes: 10_000_000 }, redact) } = parts;
  const aggregator = ownAggregator ?? createAggregator(undefined, cells);
  const counters = new IngestCounters();
  const ingest = new Ingest({
    findRefusal: () => undefined,
    selector: { tally: aggregator },
    hash: new AlertHash({ low: 1, high: 2 }),
    duplicates: new DuplicateFilter({ windowMs: 60_000, maxEntries: 1000 }),
    redact,
    names: new SubjectNames(),
    nowUs: () => START_US,
    onRejected: () => {},
    onThrottled: () => {},
    ...parts,
    cells,
    counters,
  });
  return { aggregator, cells, counters, ingest };
}

/** The alert as a node sends it. */
export function toWire({ OwnerRef, OwnerName, OwnerNamespace, ExecID, ExecutableName, ...flat }: Alert): Buffer {
  const Owner = { Ref: OwnerRef, Name: OwnerName, Namespace: OwnerNamespace };
  return encodeAlert({ ...flat, Owner, ExecEvent: { ExecID, ExecutableName } } as unknown as WireAlert);
}
