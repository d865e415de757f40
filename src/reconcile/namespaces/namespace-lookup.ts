// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds at once which namespaces are gone, where alerts name more of them than can be tried one by one without a delay
// for others.

import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { LedgerMap } from "../../aggregate/ledger/ledger-map.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { runInTurns, visitInSteps } from "../../lib/pacing/steps.ts";
import { type ReportSink, SinkError } from "../../sinks/report-sink.ts";
import type { GoneNamespaces } from "./gone-namespaces.ts";

/** Reports that wait at least: these take seconds, fewer are tried one by one. */
const MIN_WAITING = 100;
/** Pause after a lookup. */
const PAUSE_MS = 2000;
/** Pause after a lookup that failed, as where the right to list namespaces is missing. */
const FAILED_PAUSE_MS = 60_000;

export interface NamespaceLookupParts {
  sink: Pick<ReportSink, "findAbsentNamespaces">;
  ledgers: LedgerMap;
  gone: GoneNamespaces;
  clock: Pick<Clock, "monotonicMs" | "turn">;
  logger: Logger;
}

export class NamespaceLookup {
  readonly #parts: NamespaceLookupParts;
  /** Infinite while a lookup runs. */
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(parts: NamespaceLookupParts) {
    this.#parts = parts;
  }

  /** Looks up the namespaces of all reports if many wait; called where one was found gone. Rejects only for a bug. */
  async run(waiting: number, signal: AbortSignal): Promise<void> {
    const { sink, clock, logger } = this.#parts;
    if (waiting < MIN_WAITING || !sink.findAbsentNamespaces || clock.monotonicMs() < this.#nextMs) return;
    this.#nextMs = Number.POSITIVE_INFINITY;
    let pauseMs = PAUSE_MS;
    try {
      const absent = await sink.findAbsentNamespaces(await this.#listNamespaces(), signal);
      const found = await this.#add(absent);
      if (found > 0) logger.info({ namespaces: found }, "namespaces gone");
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      if (!signal.aborted) {
        pauseMs = FAILED_PAUSE_MS;
        logger.warn({ answer: error.message }, "namespaces not listed, trying each");
      }
    }
    this.#nextMs = clock.monotonicMs() + pauseMs;
  }

  /** One that is created later is not among them. */
  async #listNamespaces(): Promise<Set<string>> {
    const { ledgers, clock } = this.#parts;
    const namespaces = new Set<string>();
    const add = ({ namespace = "" }: Ledger) => namespaces.add(namespace);
    await runInTurns(visitInSteps(ledgers.values(), add), clock);
    namespaces.delete("");
    return namespaces;
  }

  /** Returns the number of those that were not known to be gone. */
  async #add(absent: Iterable<string>): Promise<number> {
    const { gone, clock } = this.#parts;
    let found = 0;
    const add = (namespace: string) => {
      if (gone.add(namespace)) found++;
    };
    await runInTurns(visitInSteps(absent, add), clock);
    return found;
  }
}
