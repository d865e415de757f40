// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports a long gap as an Event on the operator itself while the gap lasts and can still be ended.
// Invariant: one update per gap, and none for a gap that ends before it is long.

import type { Gap } from "../aggregate/gaps/stream-coverage.ts";
import type { Clock } from "../lib/clock.ts";
import { toEpochUs } from "../lib/time.ts";
import type { EventRecorder, Regarding } from "./event-recorder.ts";

export interface GapEventsParts {
  events: EventRecorder;
  clock: Clock;
  /** The operator's own Deployment or namespace; undefined where it is in none: then there are no such Events. */
  self: Regarding | undefined;
  /** Length of a gap, in milliseconds, at which it is reported. */
  afterMs: number;
  /** Text of a gap that is longer than `seconds`; default: no alert of that time is in a report. */
  describe?: (seconds: number, kind: Gap["kind"]) => string;
}

const DESCRIPTIONS = {
  StreamDown: "KubeArmor's alert stream is down",
  StreamEnded: "KubeArmor ended the alert stream and it could not be opened again",
  NodeDown: "nodes of the cluster are not read",
  Stalled: "the operator was stalled",
  NotRunning: "no operator ran",
  Handover: "one replica took over from another",
  JournalUnavailable: "the journal could not be kept",
  TransportLost: "counts of readers were lost on the way",
} as const;

export class GapEvents {
  readonly #parts: GapEventsParts;
  /** Kinds that last, as setGap was called. */
  readonly #lasting = new Set<Gap["kind"]>();
  readonly #waiting = new Map<Gap["kind"], () => void>();

  constructor(parts: GapEventsParts) {
    this.#parts = parts;
  }

  /** A gap began; it may be over already. */
  startGap(gap: Gap): void {
    const { clock, afterMs } = this.#parts;
    this.endGap(gap.kind);
    const lastedMs = (gap.toMs ?? clock.nowMs()) - gap.fromMs;
    if (lastedMs >= afterMs) this.#report(gap);
    else if (gap.toMs === undefined) {
      this.#waiting.set(
        gap.kind,
        clock.after(afterMs - lastedMs, () => this.#report(gap)),
      );
    }
  }

  /** Begins or ends the gap of this kind where that has changed; `fromMs` is undefined while there is none. */
  setGap(kind: Gap["kind"], fromMs: number | undefined): void {
    if (fromMs === undefined) this.endGap(kind);
    else if (!this.#lasting.has(kind)) this.startGap({ kind, fromMs, toMs: undefined });
    if (fromMs === undefined) this.#lasting.delete(kind);
    else this.#lasting.add(kind);
  }

  endGap(kind: Gap["kind"]): void {
    this.#waiting.get(kind)?.();
    this.#waiting.delete(kind);
  }

  /** Cancels the pending reports. */
  stop(): void {
    for (const kind of [...this.#waiting.keys()]) this.endGap(kind);
  }

  #report(gap: Gap): void {
    const { clock, events, self, afterMs, describe = describeGap } = this.#parts;
    this.#waiting.delete(gap.kind);
    if (!self) return;
    events.record({
      regarding: self,
      policy: "",
      operation: gap.kind,
      action: "",
      outcome: "StreamGap",
      note: describe(Math.round(afterMs / 1000), gap.kind),
      count: 1,
      firstUs: toEpochUs(gap.fromMs),
      lastUs: toEpochUs(gap.toMs ?? clock.nowMs()),
    });
  }
}

function describeGap(seconds: number, kind: Gap["kind"]): string {
  return (
    `No alert was read for more than ${seconds} s: ${DESCRIPTIONS[kind]}. Alerts of that time are in no report; ` +
    "reports that may miss alerts have coverage.lowerBound true and list the gap."
  );
}
