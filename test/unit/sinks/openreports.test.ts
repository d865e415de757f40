// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The publisher where an API server fails in ways that a healthy one seldom shows. The rest is tested on a real one, in
// test/integration.

import { afterEach, describe, expect, test } from "vitest";
import type { OpenReport } from "../../../src/api/openreports.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { ApiError, type ApiErrorCode } from "../../../src/kube/api-error.ts";
import type { ApiRequester, ApiStreamer, KubeRequest } from "../../../src/kube/client.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { openReportName, toOpenReport } from "../../../src/report/openreport.ts";
import { OpenReportPublisher } from "../../../src/sinks/openreports/openreport-publisher.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { OPTIONS } from "../../support/openreports/options.ts";
import { createFullReport } from "../api/full-report.ts";

const MINUTE_MS = 60_000;

/** One report and what was written for it; `answer` may throw in place of a write. */
class OneReportApi implements ApiRequester, ApiStreamer {
  readonly writes: OpenReport[] = [];
  readonly #report: Report;
  readonly #answer: (copy: OpenReport, write: number) => void;

  constructor(violations: number, answer: (copy: OpenReport, write: number) => void = () => {}) {
    const report = createFullReport("shop");
    const [first] = report.violations;
    const many = Array.from({ length: violations }, (_, i) => ({ ...first!, id: String(i).padStart(16, "0") }));
    this.#report = { ...report, metadata: { ...report.metadata, uid: "u", resourceVersion: "1" }, violations: many };
    this.#answer = answer;
  }

  async request<T>({ method, path, body }: KubeRequest): Promise<T> {
    if (method !== "GET") {
      const copy = body as OpenReport;
      this.writes.push(copy);
      this.#answer(copy, this.writes.length);
      return { metadata: { resourceVersion: "2" } } as T;
    }
    const { name } = this.#report.metadata;
    if (path.endsWith(`/namespaces/shop/policyviolationreports/${name}`)) return this.#report as T;
    const items = path.endsWith("/policyviolationreports") ? [{ metadata: this.#report.metadata }] : [];
    return { items, metadata: { resourceVersion: "1" } } as T;
  }

  async *stream({ signal, onOpen }: Parameters<ApiStreamer["stream"]>[0]): AsyncGenerator<unknown> {
    onOpen?.();
    await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
  }
}

describe("a write that", () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  async function publish(api: OneReportApi) {
    const clock = new FakeClock();
    const lines: object[] = [];
    const log = (fields: object) => void lines.push(fields);
    const publisher = new OpenReportPublisher({
      client: api,
      clock,
      logger: { ...silentLogger, warn: log, error: log },
      mapping: {
        copyName: openReportName,
        map: (report, limits, mostThatFit) => toOpenReport(report, { ...OPTIONS, mostThatFit }, limits),
      },
      isRequired: true,
      minIntervalMs: MINUTE_MS,
      maxReports: 10,
      isLeader: () => true,
    });
    const stop = new AbortController();
    const running = publisher.run(stop.signal);
    ends.push(async () => {
      stop.abort();
      await clock.advance(0);
      await running;
    });
    await clock.advance(0);
    return { publisher, clock, lines };
  }

  function failAt(code: ApiErrorCode, writes: number, retryAfterMs?: number) {
    return (_: OpenReport, write: number) => {
      if (write <= writes) throw new ApiError(code, "m", { retryAfterMs });
    };
  }

  test("is too large is made again at once with half of the results, until it fits", async () => {
    const api = new OneReportApi(80, ({ results }) => {
      if (results.length > 25) throw new ApiError("TooLarge", "m");
    });
    const { publisher, clock, lines } = await publish(api);
    await clock.advance(1000);
    expect(api.writes.map(({ results }) => results.length)).toEqual([81, 40, 20]);
    expect(api.writes.at(-1)?.results.at(-1)?.rule).toBe("omitted");
    expect(publisher.stats().results).toMatchObject({ too_large: 2, written: 1 });
    expect(lines).toMatchObject([{ results: 40 }, { results: 20 }]);
  });

  test("fails is made again after a growing pause, and never before the server allows it", async () => {
    const api = new OneReportApi(1, failAt("Unavailable", 3, 30_000));
    const { publisher, clock } = await publish(api);
    expect(api.writes).toHaveLength(1);
    await clock.advance(29_999);
    expect(api.writes).toHaveLength(1);
    await clock.advance(2 * MINUTE_MS);
    expect(api.writes).toHaveLength(4);
    expect(publisher.stats()).toMatchObject({ results: { retry: 3, written: 1 }, pending: 0 });
  });

  test.each<[ApiErrorCode]>([["Forbidden"], ["Invalid"], ["NotServed"]])(
    "is refused (%s) is logged once and made again each minute",
    async (code) => {
      const api = new OneReportApi(1, failAt(code, 2));
      const { publisher, clock, lines } = await publish(api);
      await clock.advance(59_999);
      expect(api.writes).toHaveLength(1);
      await clock.advance(2 * MINUTE_MS);
      expect(publisher.stats().results).toMatchObject({ refused: 2, written: 1 });
      expect(lines).toEqual([{ namespace: expect.any(String), report: expect.any(String), answer: "m" }]);
    },
  );

  test("meets a namespace that is going is not made again", async () => {
    const api = new OneReportApi(1, failAt("NamespaceGone", 9));
    const { publisher, clock } = await publish(api);
    await clock.advance(10 * MINUTE_MS);
    expect(api.writes).toHaveLength(1);
    expect(publisher.stats().pending).toBe(0);
  });
});
