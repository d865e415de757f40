// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Declares the gaps of the alert stream in the reports. Missing nodes need more than a stream that is down: reports begin
// while other nodes are read, and may be short of alerts, too.
// Invariant: a gap of nodes concerns every report that exists or begins while it lasts, and no later one.

import type { Aggregator } from "../../aggregate/aggregator.ts";
import type { Gap, StreamCoverage } from "../../aggregate/gaps/stream-coverage.ts";
import { type EpochUs, toEpochUs } from "../../lib/time.ts";

export class StreamGaps {
  readonly #aggregator: Aggregator;
  /** The start, where nodes are read directly and not all of them are connected yet. */
  #startUs: EpochUs | undefined;

  /** With `nodesSinceMs` nodes are read: until all are connected, each report that begins may be short of alerts. */
  constructor(aggregator: Aggregator, nodesSinceMs: number | undefined) {
    this.#aggregator = aggregator;
    if (nodesSinceMs === undefined) return;
    this.#startUs = toEpochUs(nodesSinceMs);
    aggregator.gaps.addGapTo(undefined, { kind: "NodeDown", fromUs: this.#startUs, toUs: undefined });
  }

  begin({ kind, fromMs }: Gap): void {
    const fromUs = toEpochUs(fromMs);
    this.#aggregator.gaps.addGap(kind, fromUs);
    // Other nodes are read, so that reports may begin that are short of alerts.
    if (kind === "NodeDown") this.#aggregator.gaps.addGapTo(undefined, { kind, fromUs, toUs: undefined });
  }

  /** Declares a gap of nodes that began while another replica led, and lasts. */
  resume(coverage: StreamCoverage): void {
    const gap = coverage.ongoing("NodeDown");
    if (gap) this.begin(gap);
  }

  /** Ends gaps, and the start; `nodes` were missing in a gap of nodes. */
  end(gaps: readonly Gap[], nowMs: number, nodes = 0): void {
    if (this.#startUs !== undefined) this.#aggregator.gaps.endNodeGap(this.#startUs, toEpochUs(nowMs), 0);
    this.#startUs = undefined;
    for (const { kind, fromMs, toMs = fromMs } of gaps) {
      if (kind === "NodeDown") this.#aggregator.gaps.endNodeGap(toEpochUs(fromMs), toEpochUs(toMs), nodes);
      else this.#aggregator.gaps.endGap(kind, toEpochUs(fromMs), toEpochUs(toMs));
    }
  }
}
