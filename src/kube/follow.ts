// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows a collection of objects that others write: lists it, then watches from the version of the list, without end.
// Invariant: every failure is retried; a completed list has reported every object, page by page, so that memory is
// bounded by a page.

import type { Clock } from "../lib/clock.ts";
import { isObject, toObject } from "../lib/json.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { ApiError, type ApiErrorCode, classifyAnswer } from "./api-error.ts";
import { type ApiRequester, type ApiStreamer, METADATA_LIST, METADATA_ONLY } from "./client.ts";
import { listPages } from "./list.ts";

/** Receiver of the objects; must not throw and must not wait. */
export interface FollowObserver {
  /**
   * Begins a list: every object is reported once more, then `onListed` follows; objects that were not reported are
   * gone.
   */
  onListing(): void;
  onObject(object: unknown): void;
  onListed(): void;
  onRemoved(object: unknown): void;
  /** The objects can't be followed at the moment; called at each failed try. */
  onProblem(problem: FollowProblem): void;
  /** A watch has opened; `wasInterrupted` where `onProblem` was called since the last one. */
  onOpen(wasInterrupted: boolean): void;
}

export interface FollowProblem {
  code: ApiErrorCode;
  message: string;
  /** True for the first problem with its code since a watch was last open, which is worth a log line. */
  isNew: boolean;
}

export interface FollowOptions {
  client: ApiRequester & ApiStreamer;
  clock: Clock;
  /** The collection, as in `/apis/GROUP/VERSION/PLURAL`. */
  path: string;
  /** Label selector, as in `key=value`; default: all objects. */
  labelSelector?: string | undefined;
  isMetadataOnly?: boolean | undefined;
  /** Objects per page of a list at most; default 500. */
  pageSize?: number | undefined;
  /** As ListRequest.pageBytes. */
  pageBytes?: number | undefined;
  /** Milliseconds until an API that is not served, or not allowed, is tried again; default 30,000. */
  absentRetryMs?: number | undefined;
}

/** As client-go: the server ends a watch after 5 to 10 minutes, so that all do not come back at once. */
const MIN_WATCH_SECONDS = 300;
/** The server sends a bookmark about every minute: a watch without any for this long is dead. */
const IDLE_MS = 150_000;
/** Between a watch that ended as it should and the next one: a proxy that ends each at once makes no busy loop. */
const PAUSE_MS = 500;

/** Reports every object and every change to the observer, until the signal aborts. Rejects only for a bug. */
export async function follow(options: FollowOptions, observer: FollowObserver, signal: AbortSignal): Promise<void> {
  await new Followed(options, observer).run(signal);
}

class Followed {
  readonly #options: FollowOptions;
  readonly #observer: FollowObserver;
  readonly #retry: RetryPolicy;
  /** resourceVersion from which the watch continues; undefined asks for a list. */
  #version: string | undefined;
  /** Codes of the failures since a watch was last open. */
  readonly #problems = new Set<ApiErrorCode>();

  constructor(options: FollowOptions, observer: FollowObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#retry = new RetryPolicy(options.clock);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (; !signal.aborted; ) {
      let afterMs = PAUSE_MS;
      try {
        if (this.#version === undefined) await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (signal.aborted) break;
        afterMs = this.#handleFailure(error);
      }
      await clock.sleep(afterMs, signal);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, labelSelector, isMetadataOnly, pageSize = 500, pageBytes } = this.#options;
    const accept = isMetadataOnly ? { accept: METADATA_LIST } : {};
    let version: string | undefined;
    this.#observer.onListing();
    for await (const { items, metadata } of listPages(client, {
      path,
      labelSelector,
      pageSize,
      pageBytes,
      signal,
      ...accept,
    })) {
      // The version of the first page holds for all pages: they are read from the same snapshot.
      version ??= metadata?.resourceVersion;
      for (const item of items ?? []) this.#observer.onObject(item);
      if (signal.aborted) break;
    }
    if (signal.aborted) return;
    this.#observer.onListed();
    this.#version = version;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, clock, path, labelSelector, isMetadataOnly } = this.#options;
    const events = client.stream({
      path,
      query: {
        labelSelector,
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.#version,
        timeoutSeconds: Math.floor(MIN_WATCH_SECONDS * (1 + clock.random())),
      },
      ...(isMetadataOnly ? { accept: METADATA_ONLY } : {}),
      idleMs: IDLE_MS,
      signal,
      onOpen: () => {
        this.#retry.reset();
        this.#observer.onOpen(this.#problems.size > 0);
        this.#problems.clear();
      },
    });
    for await (const event of events) {
      if (signal.aborted) return;
      this.#take(event);
    }
  }

  #take(event: unknown): void {
    const { type, object } = toObject(event);
    if (type === "ERROR") throw this.#toError(object);
    if (type === "ADDED" || type === "MODIFIED") this.#observer.onObject(object);
    if (type === "DELETED") this.#observer.onRemoved(object);
    const { resourceVersion } = toObject(toObject(object)["metadata"]);
    if (typeof resourceVersion === "string") this.#version = resourceVersion;
  }

  #toError(status: unknown): ApiError {
    const code = isObject(status) && typeof status["code"] === "number" ? status["code"] : 500;
    const call = { method: "WATCH", server: "", path: this.#options.path };
    const answer = { status: code, body: JSON.stringify(status ?? {}), nowMs: this.#options.clock.nowMs() };
    return classifyAnswer(call, answer);
  }

  /** Returns when to try again. */
  #handleFailure({ code, message, retryAfterMs = 0 }: ApiError): number {
    const { absentRetryMs = 30_000 } = this.#options;
    const isAbsent = code === "NotServed" || code === "Forbidden";
    // A refused watch may be of a collection that is gone: only a list can show that.
    if (isAbsent || code === "Expired" || code === "Invalid" || code === "NotFound") this.#version = undefined;
    if (code !== "Expired") {
      this.#observer.onProblem({ code, message, isNew: !this.#problems.has(code) });
      this.#problems.add(code);
    }
    if (isAbsent) return absentRetryMs;
    return this.#retry.nextMs(retryAfterMs);
  }
}
