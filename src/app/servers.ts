// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The HTTP servers of `run`: metrics, and probes on a port of their own.

import type { Config } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { createHealthPages, type Health } from "../telemetry/health.ts";
import { type HttpServer, startHttpServer } from "../telemetry/http-server.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createMetricsPage } from "../telemetry/metrics-page.ts";
import type { MetricsSource } from "../telemetry/metrics-source.ts";
import type { RequestCounters } from "./request-counters.ts";

export interface ServersParts {
  config: Config;
  version: string;
  source: MetricsSource;
  passing: RequestCounters;
  readiness: () => Health;
  clock: Clock;
  logger: Logger;
}

/**
 * Starts both servers; returns what closes them.
 *
 * @throws ListenError when one of them cannot listen; then none does.
 */
export async function startServers(parts: ServersParts): Promise<() => Promise<void>> {
  const { config, version, source, passing, readiness, clock, logger } = parts;
  const metrics = createMetrics({ source, version, clusterName: config.cluster.name });
  passing.observe((durationMs) => metrics.observeWrite(durationMs));
  const open: HttpServer[] = [];
  const closeAll = async () => {
    for (const server of open) await server.close();
  };
  const common = { clock, log: logger };
  try {
    const pages = { "/metrics": createMetricsPage(metrics, clock) };
    open.push(await startHttpServer({ ...common, section: "metrics", address: config.metrics.address, pages }));
    const probes = createHealthPages(() => ({ ok: true, checks: { loop: { ok: true } } }), readiness);
    open.push(await startHttpServer({ ...common, section: "health", address: config.health.address, pages: probes }));
  } catch (error) {
    await closeAll();
    throw error;
  }
  const [metricsPort, healthPort] = open.map(({ port }) => port);
  logger.info({ metricsPort, healthPort }, "serving metrics and probes");
  return closeAll;
}
