// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State of the stream: since when it has been read without a gap, and every gap. Invariant: a gap of the stream is
// counted once, when it breaks; it ends when the stream is open again.

import type { Disconnect } from "../../api/alert-stream.ts";
import { GAP_KINDS, type GapKind } from "../counts/coverage-gap.ts";

/** A time without reading. Milliseconds since the epoch; `toMs` is undefined while it lasts. */
export interface Gap {
  kind: GapKind;
  fromMs: number;
  toMs: number | undefined;
}

const GAP_KIND: Record<Disconnect["reason"], GapKind> = {
  ok_end: "StreamEnded",
  error: "StreamDown",
  watchdog: "StreamDown",
  connect_failed: "StreamDown",
  node_down: "NodeDown",
};

export class StreamCoverage {
  /** Undefined while the stream is not open. Milliseconds since the epoch. */
  continuousSinceMs: number | undefined;
  /** As continuousSinceMs, and also by the replica that led before. */
  coveredSinceMs: number | undefined;
  readonly gaps = createZeros();
  /** Total length of the gaps that have ended by kind, in seconds. */
  readonly gapSeconds = createZeros();
  /** Ends of the stream and failed attempts to open it. */
  readonly disconnects: Record<Disconnect["reason"], number> = {
    ok_end: 0,
    error: 0,
    watchdog: 0,
    connect_failed: 0,
    node_down: 0,
  };
  /** The newest disconnect, while the stream is down. */
  down: Disconnect | undefined;
  #open: Gap[] = [];

  /** The stream is open. Returns the gaps that end with it. */
  connected(nowMs: number): Gap[] {
    if (this.continuousSinceMs !== undefined) return [];
    this.continuousSinceMs = nowMs;
    this.coveredSinceMs = nowMs;
    this.down = undefined;
    const ended = this.#open.map((gap) => this.#endGap(gap, nowMs));
    this.#open = [];
    return ended;
  }

  /** The stream broke, or could not be opened. Returns the gap that begins, if one does. */
  disconnected(disconnect: Disconnect): Gap | undefined {
    this.down = disconnect;
    this.disconnects[disconnect.reason]++;
    if (this.continuousSinceMs === undefined) return undefined;
    this.continuousSinceMs = undefined;
    this.coveredSinceMs = undefined;
    const kind = GAP_KIND[disconnect.reason];
    return this.#begin({ kind, fromMs: disconnect.lastReadMs, toMs: undefined });
  }

  ongoing(kind: GapKind): Gap | undefined {
    return this.#open.find((gap) => gap.kind === kind);
  }

  /** Time since which alerts may be missing now; undefined while the stream is open, or has yet to be tried. */
  get missingSinceMs(): number | undefined {
    return this.#open[0]?.fromMs ?? this.down?.lastReadMs;
  }

  /** Another replica has read without a gap since `fromMs`, and this one since before that one ended. */
  continueFrom(fromMs: number | undefined): void {
    if (fromMs === undefined || this.continuousSinceMs === undefined) return;
    this.coveredSinceMs = Math.min(fromMs, this.continuousSinceMs);
  }

  /** The replica that led before had a gap until `ms`. */
  excludeBefore(ms: number): void {
    if (this.coveredSinceMs !== undefined) this.coveredSinceMs = Math.max(ms, this.coveredSinceMs);
  }

  /** Counts the time in which no operator ran, from the last sign of life that is known until the stream was opened. */
  addNotRunning(fromMs: number): Gap {
    const gap = this.#begin({ kind: "NotRunning", fromMs, toMs: undefined });
    if (this.continuousSinceMs === undefined) return gap;
    this.#open.pop();
    return this.#endGap(gap, this.continuousSinceMs);
  }

  /**
   * Records that this process has not read for `ms` until now, on a stream that stayed open. Returns the gap, undefined
   * where the time is too short for one.
   */
  addStall(ms: number, nowMs: number): (Gap & { toMs: number }) | undefined {
    if (this.continuousSinceMs === undefined) return undefined;
    // Later than now by a clock that was set back since.
    const sinceMs = this.continuousSinceMs > nowMs ? 0 : this.continuousSinceMs;
    const gap = { kind: "Stalled", fromMs: Math.max(sinceMs, nowMs - ms), toMs: nowMs } as const;
    this.continuousSinceMs = nowMs;
    this.coveredSinceMs = nowMs;
    this.addEndedGap(gap);
    return gap;
  }

  /** Counts a gap that is over and was not the stream's. */
  addEndedGap(gap: Gap & { toMs: number }): void {
    this.gaps[gap.kind]++;
    this.#endGap(gap, gap.toMs);
  }

  #begin(gap: Gap): Gap {
    this.gaps[gap.kind]++;
    this.#open.push(gap);
    return gap;
  }

  #endGap(gap: Gap, nowMs: number): Gap {
    // The last sign of life may be by the clock of a node that runs ahead.
    const toMs = Math.max(gap.fromMs, nowMs);
    this.gapSeconds[gap.kind] += (toMs - gap.fromMs) / 1000;
    return { ...gap, toMs };
  }
}

/** Every kind, so that each shows as 0 from the start. */
function createZeros(): Record<GapKind, number> {
  return Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
}
