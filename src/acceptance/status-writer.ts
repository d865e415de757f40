// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the status of AcceptedViolations.
// Invariant: a few writes a second in all, in turn by namespace; one that differs in numbers only is written at most
// every half minute; never over a version that was not read. Counting and comparing yield to the event loop.

import type { AcceptanceStatus } from "../api/acceptance.ts";
import { API_GROUP_VERSION, FIELD_MANAGER } from "../api/names.ts";
import { ApiError } from "../kube/api-error.ts";
import { type ApiRequester, MERGE_PATCH } from "../kube/client.ts";
import { type Clock, waitForAbort } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { parseObjectKey, toApiPath, toObjectKey } from "../lib/object-key.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import { TokenBucket } from "../lib/pacing/token-bucket.ts";
import { WorkLoop } from "../lib/pacing/work-loop.ts";
import { WorkQueue } from "../lib/pacing/work-queue.ts";
import type { Matched } from "../report/acceptance-set.ts";
import type { AcceptanceIndex, Place } from "./acceptance-index.ts";
import { behind, createStatus } from "./conditions.ts";
import { type ReadAcceptance, readAcceptance } from "./parse-acceptance.ts";

export interface StatusWriterOptions {
  client: ApiRequester;
  clock: Clock;
  logger: Logger;
  /** Counts the matches of each acceptance of a policy in its report, by name. */
  matched: (namespace: string, policy: string) => Steps<ReadonlyMap<string, Matched>>;
  /** Asked before each write: a process that was suspended may have lost the lead without knowing. */
  mayWrite: () => boolean;
  /** True where this process has the report; the status of others is left to another one. Default: always. */
  ownsReport?: (namespace: string, policy: string) => boolean;
}

/** Counts of one policy in one namespace. */
interface Counted {
  sums: ReadonlyMap<string, Matched>;
  /** Generation of the acceptances that were counted. */
  generation: number;
  atMs: number;
  /** True when the report was written since. */
  isStale: boolean;
}

/** Statuses compared a second, and between two turns of the event loop. */
const LOOKS_PER_SECOND = 500;
const LOOKS_PER_TURN = 25;
const WRITES_PER_SECOND = 5;
const NUMBERS_MS = 30_000;
const REFUSED_MS = 30_000;
/** Milliseconds until a status that is not due, or that another process writes, is checked again. */
const LATER_MS = 1000;
/** A report that is written often is counted again at most this often. */
const RECOUNT_MS = 5000;
/** Pause after a slice of counting, which takes about a millisecond. */
const SLICE_PAUSE_MS = 5;
const NOTHING: Matched = { violations: 0, occurrences: 0 };

export class StatusWriter {
  readonly results: Record<"written" | "conflict" | "failed", number> = { written: 0, conflict: 0, failed: 0 };
  readonly #options: StatusWriterOptions;
  readonly #index: AcceptanceIndex;
  /** Keys of acceptances to compare with their status. */
  readonly #queue: WorkQueue;
  readonly #loop: WorkLoop;
  readonly #writes = new TokenBucket(WRITES_PER_SECOND, WRITES_PER_SECOND);
  readonly #writtenMs = new Map<string, number>();
  /** By namespace and policy. */
  readonly #counted = new Map<string, Counted>();
  #signal = AbortSignal.abort();
  #looks = 0;
  #isLogged = false;

  constructor(options: StatusWriterOptions, index: AcceptanceIndex) {
    const { clock } = options;
    this.#options = options;
    this.#index = index;
    this.#queue = new WorkQueue({ clock, ranks: 1, flow: (key) => parseObjectKey(key).namespace });
    this.#loop = new WorkLoop({
      queue: this.#queue,
      clock,
      perSecond: LOOKS_PER_SECOND,
      burst: LOOKS_PER_SECOND,
      concurrency: 1,
      process: (key) => this.#process(key, this.#signal),
    });
  }

  /** Notes that the status of this one may be behind. */
  note(place: Place): void {
    this.#queue.add(toObjectKey(place), 0);
  }

  /** Notes that all may be behind: this process may have reports that another one had. */
  noteAll(): void {
    this.#counted.clear();
    for (const read of this.#index.values()) this.note(read);
  }

  noteReport(namespace: string, policy: string): void {
    const counted = this.#counted.get(toObjectKey({ namespace, name: policy }));
    if (counted) counted.isStale = true;
    for (const read of this.#index.group(namespace, policy)) this.note(read);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#loop.start();
    await waitForAbort(signal);
    await this.#loop.stop();
  }

  /** Writes the status of one acceptance where it is due; beyond the rate limit it waits. */
  async #process(key: string, signal: AbortSignal): Promise<void> {
    const { clock, mayWrite } = this.#options;
    if (++this.#looks % LOOKS_PER_TURN === 0) await clock.turn();
    const pauseMs = mayWrite() ? this.#writes.waitMs(clock.monotonicMs()) : LATER_MS;
    if (pauseMs > 0 || signal.aborted) {
      this.#queue.add(key, 0);
      this.#loop.pause(pauseMs);
      return;
    }
    const read = this.#index.get(parseObjectKey(key));
    if (!read) this.#writtenMs.delete(key);
    const wanted = read && this.#isOwn(read) && (await this.#due(read, signal));
    if (!wanted) return;
    this.#writes.take(clock.monotonicMs());
    // Before the next turn is given out: a namespace that could not be written in its turn would lose it.
    this.#loop.pause(this.#writes.waitMs(clock.monotonicMs()));
    if (!(await this.#write(read, wanted, signal))) this.#loop.pause(REFUSED_MS);
  }

  #isOwn({ namespace, policy = "" }: ReadAcceptance): boolean {
    return this.#options.ownsReport?.(namespace, policy) ?? true;
  }

  /** The status to write now; undefined where none is due. */
  async #due(read: ReadAcceptance, signal: AbortSignal): Promise<AcceptanceStatus | undefined> {
    const { clock } = this.#options;
    const matched = await this.#toMatched(read, signal);
    if (matched === undefined) return this.#wait(read, LATER_MS);
    const wanted = createStatus(read, { nowUs: clock.nowMs() * 1000, matched, refusal: this.#index.findRefusal(read) });
    const lag = behind(read.status, wanted);
    if (lag === "no") return undefined;
    const sinceMs = clock.monotonicMs() - (this.#writtenMs.get(toObjectKey(read)) ?? Number.NEGATIVE_INFINITY);
    return lag === "numbers" && sinceMs < NUMBERS_MS ? this.#wait(read, NUMBERS_MS - sinceMs) : wanted;
  }

  #wait(read: ReadAcceptance, ms: number): undefined {
    this.#queue.addAfter(toObjectKey(read), 0, ms);
  }

  /** Matches of the acceptance; undefined where they are not known yet. */
  async #toMatched(read: ReadAcceptance, signal: AbortSignal): Promise<Matched | undefined> {
    const { namespace, name, policy } = read;
    const set = policy === undefined ? undefined : this.#index.effective(namespace, policy);
    const key = toObjectKey({ namespace, name: policy ?? "" });
    if (!set) this.#counted.delete(key);
    if (policy === undefined || !set?.has(name)) return NOTHING;
    const { clock, matched } = this.#options;
    const known = this.#counted.get(key);
    const { generation } = set;
    const isCurrent = known?.generation === generation;
    if (isCurrent && !known.isStale) return known.sums.get(name) ?? NOTHING;
    if (isCurrent && clock.monotonicMs() - known.atMs < RECOUNT_MS) return undefined;
    const counted: Counted = { sums: new Map(), generation, atMs: clock.monotonicMs(), isStale: false };
    this.#counted.set(key, counted);
    const steps = matched(namespace, policy);
    let step = steps.next();
    for (; !step.done; step = steps.next()) {
      await clock.sleep(SLICE_PAUSE_MS, signal);
      if (!signal.aborted) continue;
      this.#counted.delete(key);
      return undefined;
    }
    counted.sums = step.value;
    return counted.sums.get(name) ?? NOTHING;
  }

  /** Returns false when the server refuses, so that trying on makes no sense for a while. */
  async #write(read: ReadAcceptance, status: AcceptanceStatus, signal: AbortSignal): Promise<boolean> {
    const { client, clock, logger } = this.#options;
    const { resourceVersion } = read;
    try {
      const stored = await client.request({
        method: "PATCH",
        path: `${toApiPath(`/apis/${API_GROUP_VERSION}`, "acceptedviolations", read)}/status`,
        query: { fieldManager: FIELD_MANAGER },
        contentType: MERGE_PATCH,
        body: { metadata: { resourceVersion }, status },
        signal,
      });
      this.results.written++;
      const now = readAcceptance(stored);
      // The watch may have brought a newer one already.
      if (now && this.#index.get(read) === read && now.generation === read.generation) {
        read.status = now.status;
        read.resourceVersion = now.resourceVersion;
      }
      this.#writtenMs.set(toObjectKey(read), clock.monotonicMs());
      this.#isLogged = false;
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "Conflict" || error.code === "NotFound" || error.code === "NamespaceGone") {
        // The watch brings the version that is there now, or its end.
        this.results.conflict++;
        return true;
      }
      this.results.failed++;
      this.note(read);
      if (signal.aborted) return false;
      if (!this.#isLogged) {
        logger.warn(
          { acceptance: toObjectKey(read), answer: error.message },
          "failed to write status of accepted violation",
        );
      }
      this.#isLogged = true;
      return false;
    }
  }
}
