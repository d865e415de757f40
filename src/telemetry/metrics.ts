// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics as one registry that Prometheus scrapes.
// Invariant: nothing global; counters and gauges are read at the scrape, so that alerts pay for none of it.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import type { MetricDefinition } from "./metric-definition.ts";
import { buildInfoDefinition, metricGroups, writeDurationDefinition } from "./metric-list.ts";
import type { MetricsSource } from "./metrics-source.ts";
import { scaleMetrics } from "./scale-metrics.ts";

export interface Metrics {
  /** The Content-Type of what `render` gives. */
  contentType: string;
  /** Reads every number and returns Prometheus's text format; rejects when a source throws. */
  render(): Promise<string>;
  /** Notes how long one report write took, in milliseconds. */
  observeWrite(durationMs: number): void;
}

export interface MetricsOptions {
  source: MetricsSource;
  /** The program's version, for build_info. */
  version: string;
  /** Value of the label `cluster` on every series; empty adds no label. */
  clusterName?: string;
  /** Exports memory, CPU and event loop of the process as well; default true. */
  processMetrics?: boolean;
}

function register(definition: MetricDefinition, source: MetricsSource, registry: Registry): void {
  const { name, help, labels = [], read } = definition;
  const config = { name, help, labelNames: [...labels], registers: [registry] };
  const samples = () => {
    const got = read(source);
    return typeof got === "number" ? [{ labels: {}, value: got }] : got;
  };
  if (definition.type === "gauge") {
    new Gauge({
      ...config,
      collect() {
        // Drops series that are no longer exported.
        this.reset();
        for (const { labels: at, value } of samples()) this.set(at, value);
      },
    });
    return;
  }
  new Counter({
    ...config,
    collect() {
      // The library only adds to a counter; this value is a total that is kept elsewhere.
      this.reset();
      for (const { labels: at, value } of samples()) this.inc(at, value);
    },
  });
}

/** Builds the registry; every series with labels that are known in advance exists from the first scrape. */
export function createMetrics({ source, version, clusterName = "", processMetrics = true }: MetricsOptions): Metrics {
  const registry = new Registry();
  if (clusterName !== "") registry.setDefaultLabels({ cluster: clusterName });
  for (const { metrics } of metricGroups) {
    for (const definition of metrics) register(definition, source, registry);
  }
  if (source.scale) for (const definition of scaleMetrics) register(definition, source, registry);
  const { labels, ...buildInfo } = buildInfoDefinition;
  new Gauge({ ...buildInfo, labelNames: labels, registers: [registry] }).set({ version }, 1);
  const writeDuration = new Histogram({ ...writeDurationDefinition, registers: [registry] });
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    observeWrite: (durationMs) => writeDuration.observe(durationMs / 1000),
  };
}
