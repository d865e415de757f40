// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ends a call before its answer: by the caller's signal or by a timer.
// Invariant: states why it ended the call; leaves no timer and no listener behind.

import type { Clock } from "../lib/clock.ts";
import { type ApiCall, ApiError, CallAborted } from "./api-error.ts";

export class CallLimit {
  readonly #clock: Clock;
  readonly #outer: AbortSignal | undefined;
  readonly #ms: number;
  readonly #aborter = new AbortController();
  readonly #onAbort: () => void;
  #cancelTimer: () => void;

  /** Ends the call after `ms` without an answer (or since the last `restart`), or when `outer` aborts. */
  constructor(clock: Clock, outer: AbortSignal | undefined, ms: number) {
    this.#clock = clock;
    this.#outer = outer;
    this.#ms = ms;
    this.#cancelTimer = this.#startTimer();
    this.#onAbort = () =>
      this.#aborter.abort(
        new CallAborted("canceled before the response arrived; the request may have been carried out"),
      );
    outer?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Throws when there is nothing to begin any more. */
  check(call: ApiCall): void {
    if (!this.#outer?.aborted) return;
    throw new ApiError("Unavailable", `${call.method} ${call.path}: not sent, the program is stopping`);
  }

  readonly restart = (): void => {
    this.#cancelTimer();
    this.#cancelTimer = this.#startTimer();
  };

  /** The transport's own words for an abort say less than its reason. */
  findReason(error: unknown): unknown {
    const { signal } = this.#aborter;
    return signal.aborted && !(error instanceof ApiError) ? signal.reason : error;
  }

  end(): void {
    this.#cancelTimer();
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }

  #startTimer(): () => void {
    return this.#clock.after(this.#ms, () =>
      this.#aborter.abort(
        new CallAborted(`no answer within ${this.#ms / 1000} s; the request may have been carried out`),
      ),
    );
  }
}
