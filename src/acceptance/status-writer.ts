// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the status of AcceptedViolations.
// Invariant: at our pace: a few a second over all, and of one that differs in numbers only one write in half a minute;
// never over a version that was not read.

import type { AcceptanceStatus } from "../api/acceptance.ts";
import { API_GROUP, API_VERSION, FIELD_MANAGER } from "../api/names.ts";
import { ApiError } from "../kube/api-error.ts";
import { type ApiRequester, MERGE_PATCH } from "../kube/client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Acceptance } from "../report/acceptance.ts";
import { type AcceptanceIndex, keyOf } from "./acceptance-index.ts";
import { behind, statusOf } from "./conditions.ts";
import { type ReadAcceptance, readAcceptance } from "./parse-acceptance.ts";

/** What of the reports an acceptance matches. */
export interface Matched {
  violations: number;
  occurrences: number;
}

export interface StatusWriterOptions {
  client: ApiRequester;
  clock: Clock;
  logger: Logger;
  matched: (namespace: string, acceptance: Acceptance) => Matched;
  /** Asked before each write: a replica that stood still may have lost the lead without knowing. */
  mayWrite: () => boolean;
}

const TICK_MS = 1000;
const PER_TICK = 5;
const NUMBERS_MS = 30_000;
const REFUSED_MS = 30_000;

export class StatusWriter {
  readonly results: Record<"written" | "conflict" | "failed", number> = {
    written: 0,
    conflict: 0,
    failed: 0,
  };
  readonly #options: StatusWriterOptions;
  readonly #index: AcceptanceIndex;
  /** Keys of what may be behind, the longest waiting first. */
  readonly #noted = new Set<string>();
  readonly #writtenMs = new Map<string, number>();
  #isTold = false;

  constructor(options: StatusWriterOptions, shelf: AcceptanceIndex) {
    this.#options = options;
    this.#index = shelf;
  }

  /** The status of this one may be behind. */
  note(key: string): void {
    this.#noted.add(key);
  }

  /** Writes until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const waitMs = await this.#tick(signal);
      await clock.sleep(waitMs, signal);
    }
  }

  /** Writes what is behind, up to the bound; returns how long to wait. */
  async #tick(signal: AbortSignal): Promise<number> {
    let writes = 0;
    for (const key of [...this.#noted]) {
      if (writes === PER_TICK || signal.aborted || !this.#options.mayWrite()) break;
      const read = this.#index.get(key);
      if (!read) this.#forget(key);
      const wanted = read && this.#due(key, read);
      if (!read || !wanted) continue;
      writes++;
      if (!(await this.#write(key, read, wanted, signal))) return REFUSED_MS;
    }
    return TICK_MS;
  }

  #forget(key: string): void {
    this.#noted.delete(key);
    this.#writtenMs.delete(key);
  }

  /** The status to write now; undefined where none is due. */
  #due(key: string, read: ReadAcceptance): AcceptanceStatus | undefined {
    const { clock, matched } = this.#options;
    const nowMs = clock.nowMs();
    const { effect, namespace } = read;
    const wanted = statusOf(read, {
      nowUs: nowMs * 1000,
      matched:
        "problem" in effect ? { violations: 0, occurrences: 0 } : matched(namespace, effect.acceptance),
      refusal: this.#index.refusalOf(read),
    });
    const lag = behind(read.status, wanted);
    const isTooSoon = lag === "numbers" && nowMs - (this.#writtenMs.get(key) ?? -NUMBERS_MS) < NUMBERS_MS;
    if (isTooSoon) return undefined;
    this.#noted.delete(key);
    return lag === "no" ? undefined : wanted;
  }

  /** Returns false when the server refuses, so that trying on makes no sense for a while. */
  async #write(
    key: string,
    read: ReadAcceptance,
    status: AcceptanceStatus,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, clock, logger } = this.#options;
    const { namespace, name, resourceVersion } = read;
    const base = `/apis/${API_GROUP}/${API_VERSION}/namespaces/${encodeURIComponent(namespace)}`;
    try {
      const stored = await client.request({
        method: "PATCH",
        path: `${base}/acceptedviolations/${encodeURIComponent(name)}/status`,
        query: { fieldManager: FIELD_MANAGER },
        contentType: MERGE_PATCH,
        body: { metadata: { resourceVersion }, status },
        signal,
      });
      this.results.written++;
      const now = readAcceptance(stored);
      // The watch may have told a newer one already.
      if (now && this.#index.get(key) === read && now.generation === read.generation) {
        read.status = now.status;
        read.resourceVersion = now.resourceVersion;
      }
      this.#writtenMs.set(key, clock.nowMs());
      this.#isTold = false;
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "Conflict" || error.code === "NotFound" || error.code === "NamespaceGone") {
        // The watch brings the version that is there now, or its end.
        this.results.conflict++;
        return true;
      }
      this.results.failed++;
      this.#noted.add(key);
      if (signal.aborted) return false;
      if (!this.#isTold) {
        logger.warn(
          { acceptance: keyOf(read), answer: error.message },
          "the status of an accepted violation can't be written: will try again",
        );
      }
      this.#isTold = true;
      return false;
    }
  }
}
