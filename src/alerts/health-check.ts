// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The watchdog of a stream: HealthChecks on the connection that carries it.
// Invariant: has at most one check in flight, and reports a failure at most once.

import { status } from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import type { LogServiceClient } from "./log-service-client.ts";

export interface HealthWatchOptions {
  check: LogServiceClient["checkHealth"];
  clock: Clock;
  /** Between an answer and the next check. */
  intervalMs: number;
  /** For an answer. */
  timeoutMs: number;
  /** Time of the last message of the stream; a message after the check was sent replaces a late answer. */
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
    cancelCall = options.check((error) => {
      if (settled || stopped) return;
      settled = true;
      cancelTimer();
      // HealthCheck is optional in KubeArmor's service.
      if (error === null || error.code === status.UNIMPLEMENTED) reportHealthy();
      else fail(`HealthCheck failed: ${error.message}`);
    });
    cancelTimer = clock.after(options.timeoutMs, () => {
      settled = true;
      cancelCall();
      if (options.lastReadMs() > startMs) reportHealthy();
      else fail(`HealthCheck had no answer within ${options.timeoutMs} ms`);
    });
  }

  function reportHealthy(): void {
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
