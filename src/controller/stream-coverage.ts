// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What is known of the stream: since when it has been read without a gap, and every gap.
// Invariant: a gap is counted once, when the stream breaks; it ends when the stream is open again.

import type { Disconnect } from "../feed/feed.ts";

export class StreamCoverage {
  /** Undefined while the stream is not open. Milliseconds since the epoch. */
  continuousSinceMs: number | undefined;
  gaps = 0;
  /** Total length of the gaps that have ended, in seconds. */
  gapSeconds = 0;
  /** Ends of the stream and failed attempts to open it. */
  readonly disconnects: Record<Disconnect["reason"], number> = {
    ok_end: 0,
    error: 0,
    watchdog: 0,
    connect_failed: 0,
  };
  /** The newest disconnect, while the stream is down. */
  down: Disconnect | undefined;
  #gapFromMs: number | undefined;

  /** The stream is open. Returns the length of the gap that it ends, in milliseconds; 0 when there was none. */
  connected(nowMs: number): number {
    if (this.continuousSinceMs !== undefined) return 0;
    // The last sign of life may be by the clock of a node that runs ahead.
    const gapMs = Math.max(0, nowMs - (this.#gapFromMs ?? nowMs));
    this.gapSeconds += gapMs / 1000;
    this.continuousSinceMs = nowMs;
    this.#gapFromMs = undefined;
    this.down = undefined;
    return gapMs;
  }

  /** The stream broke, or could not be opened. Returns true when a new gap begins. */
  disconnected(disconnect: Disconnect): boolean {
    this.down = disconnect;
    this.disconnects[disconnect.reason]++;
    if (this.continuousSinceMs === undefined) return false;
    this.continuousSinceMs = undefined;
    this.#gapFromMs = disconnect.lastReadMs;
    this.gaps++;
    return true;
  }

  /** Counts the time in which no operator ran, from the last write that is known. */
  notRunningSince(fromMs: number): void {
    this.gaps++;
    if (this.continuousSinceMs === undefined) this.#gapFromMs = fromMs;
    else this.gapSeconds += Math.max(0, this.continuousSinceMs - fromMs) / 1000;
  }
}
