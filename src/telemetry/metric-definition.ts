// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The definition of a metric: name, help, labels and the function that reads its value at a scrape.

import type { Counts, MetricsSource } from "./metrics-source.ts";

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** A counter or gauge that is read at scrape time; a name that ends in `_total` is a counter's. */
export interface MetricDefinition {
  name: string;
  help: string;
  labels?: readonly string[];
  /** Returns counts for a metric with one label, by its values. */
  read: (source: MetricsSource) => number | Counts | Sample[];
}

export function getMetricType(name: string): "counter" | "gauge" {
  return name.endsWith("_total") ? "counter" : "gauge";
}
