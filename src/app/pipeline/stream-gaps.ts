// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Declares the gaps of the alert stream in the reports. Each concerns every report that exists, so that a short one is
// stated once, on the Lease, and a report gets it with its next write, at the latest after an hour. One that lasts is
// written to all reports, and where there is no Lease each is. Missing nodes need more than a stream that is down:
// reports begin while other nodes are read, and may be short of alerts, too.
// Invariant: a gap of nodes concerns every report that exists or begins while it lasts, and no later one.

import type { Aggregator } from "../../aggregate/aggregator.ts";
import { createStatedGap, type StatedGap } from "../../aggregate/gaps/stated-gaps.ts";
import type { Gap, StreamCoverage } from "../../aggregate/gaps/stream-coverage.ts";
import type { Clock } from "../../lib/clock.ts";
import { type EpochUs, toEpochUs } from "../../lib/time.ts";

export interface StreamGapsOptions {
  /** Milliseconds after which all reports are written for a gap that lasts, or that nothing else states. */
  soonMs: number;
  /** True where the Lease states the gaps. */
  isStated: boolean;
  /** True where nodes are read: until all are connected, each report that begins may be short of alerts. */
  areNodesRead: boolean;
}

export interface StreamGapsParts {
  aggregator: Aggregator;
  coverage: StreamCoverage;
  clock: Clock;
}

/** Until a quiet report is written for a short gap. */
const LATE_MS = 3_600_000;
/** A stream that comes and goes: with more changes than this all reports are written. */
const MAX_WAITING = 16;

export class StreamGaps {
  readonly #options: StreamGapsOptions;
  readonly #parts: StreamGapsParts;
  /** The start, where nodes are read directly and not all of them are connected yet. */
  #startUs: EpochUs | undefined;
  /** Monotonic time at which all reports get what they lack; undefined while that is nothing. */
  #dueMs: number | undefined;
  /** The gap that lasts, where reports lack alerts for it, and #dueMs from before it. */
  #lasting: { gap: Gap; dueBeforeMs: number | undefined } | undefined;
  #cancel = () => {};

  constructor(options: StreamGapsOptions, parts: StreamGapsParts) {
    this.#options = options;
    this.#parts = parts;
    if (!options.areNodesRead) return;
    this.#startUs = toEpochUs(parts.clock.nowMs());
    parts.aggregator.gaps.addGapTo(undefined, { kind: "NodeDown", fromUs: this.#startUs, toUs: undefined });
  }

  begin(gap: Gap): void {
    const { aggregator } = this.#parts;
    const { kind, fromMs } = gap;
    this.#lasting = { gap, dueBeforeMs: this.#dueMs };
    const fromUs = toEpochUs(fromMs);
    aggregator.gaps.late.addGap(kind, fromUs);
    aggregator.gaps.late.addWriteTime(fromUs);
    // Other nodes are read, so that reports may begin that are short of alerts.
    if (kind === "NodeDown") aggregator.gaps.addGapTo(undefined, { kind, fromUs, toUs: undefined });
    this.#hold(fromMs);
    this.#writeWithin(this.#options.soonMs);
  }

  /** Continues a takeover: gaps that reports lack, and one of nodes that began while another replica led, and lasts. */
  resume(): void {
    const { aggregator, coverage } = this.#parts;
    const gap = coverage.ongoing("NodeDown");
    if (gap && gap !== this.#lasting?.gap) this.begin(gap);
    else if (aggregator.gaps.late.waiting > 0) this.#writeWithin(LATE_MS);
  }

  /** The stream is open: ends gaps, and the start; `nodes` were missing in a gap of nodes. */
  end(gaps: readonly Gap[], nowMs: number, nodes = 0): void {
    const { late } = this.#parts.aggregator.gaps;
    const isShort = this.#options.isStated && late.held !== undefined && late.held.addedMs === undefined;
    if (this.#startUs !== undefined) this.#parts.aggregator.gaps.endNodeGap(this.#startUs, toEpochUs(nowMs), 0);
    this.#startUs = undefined;
    for (const gap of gaps) this.#end(gap, nodes);
    if (isShort) this.#dueMs = this.#lasting?.dueBeforeMs;
    else late.touchAll();
    this.#lasting = undefined;
    const isClear = this.#isClear(nowMs);
    if (isClear) late.held = undefined;
    if (isShort && !isClear) this.#write();
    else this.#writeWithin(isShort ? LATE_MS : this.#options.soonMs);
  }

  /** Adds a gap that is over. */
  add({ kind, fromMs, toMs }: Gap & { toMs: number }): void {
    const gap = createStatedGap(kind, toEpochUs(fromMs), toEpochUs(toMs));
    this.#parts.aggregator.gaps.late.addGap(kind, gap.fromUs, gap.toUs);
    this.#state(gap);
    const isClear = this.#isClear(toMs);
    if (this.#options.isStated && !isClear) {
      this.#hold(fromMs);
      this.#write();
    } else {
      this.#recordUnstated(fromMs);
      this.#writeWithin(this.#options.isStated ? LATE_MS : this.#options.soonMs);
    }
  }

  /** False where a report from before a gap that ends now may look as if it was written since: the clock was set back. */
  #isClear(nowMs: number): boolean {
    const { late } = this.#parts.aggregator.gaps;
    const nowUs = toEpochUs(nowMs);
    const isAfter = late.isAfterWrites(nowUs);
    late.addWriteTime(nowUs);
    return isAfter;
  }

  #hold(fromMs: number): void {
    const { aggregator, clock } = this.#parts;
    const { late } = aggregator.gaps;
    const sinceMs = clock.monotonicMs() - (clock.nowMs() - fromMs);
    late.held = { sinceMs: Math.min(sinceMs, late.held?.sinceMs ?? sinceMs), addedMs: undefined };
    this.#recordUnstated(fromMs);
  }

  /** Without a Lease the journal says that the reports may lack a gap. */
  #recordUnstated(fromMs: number): void {
    const { late } = this.#parts.aggregator.gaps;
    if (!this.#options.isStated) late.unstatedSinceMs = Math.min(fromMs, late.unstatedSinceMs ?? fromMs);
  }

  #end({ kind, fromMs, toMs = fromMs }: Gap, nodes: number): void {
    const { gaps } = this.#parts.aggregator;
    const gap = createStatedGap(kind, toEpochUs(fromMs), toEpochUs(toMs), kind === "NodeDown" ? nodes : 0);
    // Each report was marked with it at once.
    if (kind === "NotRunning") {
      gaps.endGap(kind, gap.fromUs, gap.toUs);
      return;
    }
    // A standby's gap concerns no report: the leader has read on.
    if (this.#lasting?.gap.fromMs !== fromMs) return;
    if (kind === "NodeDown") gaps.endNodeGap(gap.fromUs, gap.toUs, nodes);
    else gaps.late.endGap(kind, gap.fromUs, gap.toUs);
    this.#state(gap);
  }

  #state(gap: StatedGap): void {
    const { aggregator, clock } = this.#parts;
    if (this.#options.isStated) aggregator.gaps.late.stated.add(gap, clock.monotonicMs());
  }

  #writeWithin(ms: number): void {
    const { aggregator, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const dueMs = aggregator.gaps.late.waiting > MAX_WAITING ? nowMs : nowMs + ms;
    this.#dueMs = Math.min(this.#dueMs ?? dueMs, dueMs);
    this.#cancel();
    this.#cancel = clock.after(this.#dueMs - nowMs, () => this.#write());
  }

  #write(): void {
    const { aggregator, clock } = this.#parts;
    this.#cancel();
    this.#dueMs = undefined;
    aggregator.gaps.late.writeAll(clock.monotonicMs());
  }
}
