// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the question whether the other end still answers, asked on the connection that carries the stream.
// Invariant: has at most one check under way, and tells a failure at most once.

import type { Clock } from "../lib/clock.ts";
import type { GrpcCall } from "./grpc-connection.ts";
import { UNIMPLEMENTED } from "./grpc-status.ts";

/** An answer that is none: a gRPC status code, and what it says. */
export interface HealthError {
  readonly code: number;
  readonly message: string;
}

/** Starts one HealthCheck; the callback gets null for a good answer. */
export type CheckHealth = (answered: (error: HealthError | null) => void) => GrpcCall;

export interface HealthWatchOptions {
  check: CheckHealth;
  clock: Clock;
  /** Between an answer and the next check. */
  intervalMs: number;
  /** For an answer. */
  timeoutMs: number;
  /** When the stream last delivered something; such a sign of life stands for an answer that is late. */
  lastReadMs: () => number;
  onHealthy: () => void;
  onFailed: (message: string) => void;
}

/** Checks at once and then at every interval until a check fails; the returned function stops it. */
export function watchHealth(options: HealthWatchOptions): () => void {
  const { clock } = options;
  let stopped = false;
  let cancelTimer = () => {};
  let cancelCall = () => {};

  function stop(): void {
    stopped = true;
    cancelTimer();
    cancelCall();
  }

  function check(): void {
    const startMs = clock.nowMs();
    let settled = false;
    const call = options.check((error) => {
      if (settled || stopped) return;
      settled = true;
      cancelTimer();
      // HealthCheck is optional in KubeArmor's service: whoever says so is alive.
      if (error === null || error.code === UNIMPLEMENTED) healthy();
      else fail(`HealthCheck failed: ${error.message}`);
    });
    cancelCall = () => call.cancel();
    cancelTimer = clock.after(options.timeoutMs, () => {
      settled = true;
      call.cancel();
      if (options.lastReadMs() > startMs) healthy();
      else fail(`HealthCheck had no answer within ${options.timeoutMs} ms`);
    });
  }

  function healthy(): void {
    cancelTimer = clock.after(options.intervalMs, check);
    options.onHealthy();
  }

  function fail(message: string): void {
    stop();
    options.onFailed(message);
  }

  check();
  return stop;
}
