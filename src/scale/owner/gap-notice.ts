// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A gap of a partition, declared in one report.

import { addGap } from "../../aggregate/absorb-counts.ts";
import { createCoverageGap, isSameGap } from "../../aggregate/counts/coverage-gap.ts";
import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type GapNotice, SKEW_US } from "../messages/delta.ts";

/** Messages of the stream are missing. */
export const LOSS = { type: "gap", kind: "TransportLost", nodes: 0, count: 0 } as const;

/** Adds the gap, or the end of one; one without a beginning begins with the newest alert, at `lastUs`. */
export function declareGap(ledger: Ledger, { kind, fromUs, toUs, nodes, count }: GapNotice, lastUs: EpochUs): void {
  const from = Math.max(0, Math.min(fromUs ?? lastUs - SKEW_US, toUs ?? Number.POSITIVE_INFINITY));
  const gap = createCoverageGap(kind, from, { toUs: toUs ?? undefined, nodes, count });
  const isKnown = ledger.counts.all.coverageGaps.some((known) => isSameGap(known, gap));
  addGap(ledger, gap, !isKnown);
}
