// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counters of requests to the API server and of writes by their result.

import { OPENREPORTS_GROUP_VERSION } from "../api/openreports.ts";
import type { KubeCall } from "../kube/client.ts";
import { POLICIES_PATH } from "../policies/policy-watch.ts";
import type { WriteResult } from "../sinks/report-sink.ts";

/** APIs that a cluster may lack. The operator looks for them again and again. */
const OPTIONAL_APIS = [POLICIES_PATH, `/apis/${OPENREPORTS_GROUP_VERSION}`];

export class RequestCounters {
  readonly writes: Record<WriteResult["kind"], number> = {
    written: 0,
    conflict: 0,
    gone: 0,
    namespace_gone: 0,
    too_large: 0,
    retry: 0,
    unknown: 0,
    refused: 0,
  };
  /** Expiry on the newest connection to the relay; undefined without TLS. Milliseconds since the epoch. */
  certificateExpiryMs: number | undefined;
  #onWrite: (durationMs: number) => void = () => {};
  readonly #api = new Map<string, { verb: string; code: string; count: number }>();

  /** Has the duration of each write passed on, in milliseconds. */
  observe(onWrite: (durationMs: number) => void): void {
    this.#onWrite = onWrite;
  }

  countWrite(kind: WriteResult["kind"], durationMs: number): void {
    this.writes[kind]++;
    this.#onWrite(durationMs);
  }

  countCall({ method, path, code: answered }: KubeCall): void {
    const isOptional = OPTIONAL_APIS.some((api) => path.startsWith(`${api}/`));
    const code = answered === "NotServed" && isOptional ? "NotInstalled" : answered;
    const key = `${method} ${code}`;
    const known = this.#api.get(key) ?? { verb: method, code, count: 0 };
    known.count++;
    this.#api.set(key, known);
  }

  get apiRequests(): Iterable<{ verb: string; code: string; count: number }> {
    return this.#api.values();
  }
}
