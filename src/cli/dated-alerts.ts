// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gives each alert of a file the time at which it "arrives": a file has no other clock than its alerts.

import type { AlertListener } from "../alerts/alert-source.ts";
import type { Alert, RawAlert } from "../api/alert.ts";
import type { SourceRejection } from "../api/alert-stream.ts";
import { ownTimeUs } from "../ingest/decode.ts";
import type { EpochUs } from "../lib/time.ts";

/** Alerts at the head of a file that wait for the first one with a time; beyond it they arrive now. */
const MAX_WAITING = 100_000;

/**
 * Passes alerts on. An alert arrives at its own time; one without any at the time of the alert before it; those at the
 * head of the file at the time of the first that has one.
 */
export class DatedAlerts implements AlertListener {
  /** Log records, which are not alerts. */
  logs = 0;
  readonly #next: Pick<AlertListener, "onAlert" | "onRejected">;
  readonly #arrival: { us: EpochUs };
  #waiting: [Alert, number][] | undefined = [];

  /** `arrival` holds the time of the alert that is being passed on; at the start that of a file without any times. */
  constructor(next: Pick<AlertListener, "onAlert" | "onRejected">, arrival: { us: EpochUs }) {
    this.#next = next;
    this.#arrival = arrival;
  }

  onAlert(given: Alert | RawAlert, line: number): void {
    const alert = "deciding" in given ? given.read(given.bytes) : given;
    const us = ownTimeUs(alert);
    if (us !== undefined) {
      this.#arrival.us = us;
      this.end();
    } else if (this.#waiting) {
      this.#waiting.push([alert, line]);
      if (this.#waiting.length >= MAX_WAITING) this.end();
      return;
    }
    this.#next.onAlert(alert, line);
  }

  onRejected(reason: SourceRejection, detail: string, line: number): void {
    this.#next.onRejected(reason, detail, line);
  }

  onLog(): void {
    this.logs++;
  }

  // A file is not a stream: an open file says nothing about alerts that were not written to it.
  onConnected(): void {}

  onDisconnected(): void {}

  /** Passes on what still waits. */
  end(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const [alert, line] of waiting) this.#next.onAlert(alert, line);
  }
}
