// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The /metrics page. Concurrent scrapes share one render, and renders are at least MIN_RENDER_MS apart, so that
// scrapers cannot take the event loop from alerts.

import type { Clock } from "../lib/clock.ts";
import type { HttpPage } from "./http-server.ts";
import type { Metrics } from "./metrics.ts";

/** A page may be this old. Milliseconds. */
const MIN_RENDER_MS = 200;

/** Returns the page; a failed render rejects for every scrape that shares it and is not kept. */
export function createMetricsPage(
  { contentType, render }: Pick<Metrics, "contentType" | "render">,
  clock: Pick<Clock, "monotonicMs">,
): () => Promise<HttpPage> {
  let latest: Promise<HttpPage> | undefined;
  let renderedMs = 0;
  const renderPage = async (): Promise<HttpPage> => {
    try {
      // One buffer for all connections: a string would be encoded for each.
      return { status: 200, body: Buffer.from(await render()), contentType };
    } catch (error) {
      latest = undefined;
      throw error;
    } finally {
      renderedMs = clock.monotonicMs();
    }
  };
  let isRendering = false;
  return () => {
    const isRecent = clock.monotonicMs() - renderedMs < MIN_RENDER_MS;
    if (latest !== undefined && (isRendering || isRecent)) return latest;
    isRendering = true;
    latest = renderPage().finally(() => {
      isRendering = false;
    });
    return latest;
  };
}
