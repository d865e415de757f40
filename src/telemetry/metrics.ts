// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics as one registry that Prometheus scrapes.
// Invariant: nothing global; counters and gauges are read at the scrape, so that alerts pay for none of it.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import { getMetricType, type MetricDefinition, type Sample } from "./metric-definition.ts";
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

function register(
  { name, help, labels = [], read }: MetricDefinition,
  source: MetricsSource,
  registry: Registry,
): void {
  const Metric = getMetricType(name) === "counter" ? Counter : Gauge;
  new Metric({
    ...{ name, help, labelNames: [...labels], registers: [registry] },
    collect(this: Pick<Gauge<string>, "reset" | "inc">) {
      // The library only adds to a counter; this value is a total that is kept elsewhere. Drops series that are gone.
      this.reset();
      for (const { labels: at, value } of toSamples(read(source), labels[0])) this.inc(at, value);
    },
  });
}

function toSamples(read: ReturnType<MetricDefinition["read"]>, label = ""): Sample[] {
  if (typeof read === "number") return [{ labels: {}, value: read }];
  return Array.isArray(read) ? read : Object.entries(read).map(([key, value]) => ({ labels: { [label]: key }, value }));
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
