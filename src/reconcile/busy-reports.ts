// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports that are being reconciled, or get the counts of a namespace that is gone: one thing at a time.

import type { ReportQueue } from "./report-queue.ts";

/** Pause of a report while another thing is done. */
const RETRY_MS = 100;

export class BusyReports {
  readonly #queue: Pick<ReportQueue, "requeue">;
  readonly #busy = new Set<string>();

  constructor(queue: Pick<ReportQueue, "requeue">) {
    this.#queue = queue;
  }

  /** Runs what changes the report `busy`; where something else does, the turn of `key` comes again soon. */
  async run(busy: string, [key, fresh]: readonly [string, boolean], work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(busy)) {
      this.#queue.requeue(key, fresh, RETRY_MS);
      return;
    }
    this.#busy.add(busy);
    await work();
    this.#busy.delete(busy);
  }
}
