// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Outcome of attempts to read or write the Lease: the problem, the time to retry, and errors logged once.

import { ApiError, type ApiErrorCode } from "../../kube/api-error.ts";
import type { Logger } from "../../lib/logger.ts";
import type { LeaseStore } from "./lease.ts";
import { isOvertaken } from "./lease-claim.ts";

/** Errors that need a person to fix. */
const REFUSED: readonly ApiErrorCode[] = ["Forbidden", "NamespaceGone", "NotServed", "Unauthorized", "Invalid"];

export class LeaseAccess {
  /** Why the last try failed and what to do, in a sentence; undefined when it succeeded. */
  problem: string | undefined;
  /** Retry-After of the last answer; 0 without one. */
  retryAfterMs = 0;
  readonly #lease: string;
  readonly #store: LeaseStore;
  readonly #logger: Logger;
  /** Errors of the present problem that were logged. */
  readonly #logged = new Set<ApiErrorCode>();

  constructor(lease: string, store: LeaseStore, logger: Logger) {
    this.#lease = lease;
    this.#store = store;
    this.#logger = logger;
  }

  onFailure(thrown: unknown, isLeading: boolean): void {
    const error = thrown instanceof ApiError ? thrown : new ApiError("Unknown", String(thrown), { cause: thrown });
    const { code } = error;
    const fields: Record<string, unknown> = { lease: this.#lease, answer: error.message };
    if (isOvertaken(error)) {
      this.#logger.debug(fields, "Lease changed meanwhile, reading again");
      return;
    }
    const advice = this.#store.advice(code);
    this.problem = advice === undefined ? error.message : `${error.message}; ${advice}`;
    this.retryAfterMs = error.retryAfterMs ?? 0;
    if (this.#logged.has(code)) return;
    this.#logged.add(code);
    if (advice !== undefined) fields["advice"] = advice;
    const message = isLeading ? "failed to renew Lease, retrying" : "failed to access Lease, retrying";
    this.#logger[REFUSED.includes(code) ? "error" : "warn"](fields, message);
  }

  onSuccess(): void {
    this.problem = undefined;
    if (this.#logged.size === 0) return;
    this.#logged.clear();
    this.#logger.info({ lease: this.#lease }, "Lease accessible again");
  }
}
