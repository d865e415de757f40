// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The definition of a metric: name, type, help, labels and the function that reads its value at a scrape.

import type { Counts, MetricsSource } from "./metrics-source.ts";

/** One series of a metric. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** A counter or gauge that is read at scrape time. */
export interface MetricDefinition {
  name: string;
  type: "counter" | "gauge";
  help: string;
  labels?: readonly string[];
  read: (source: MetricsSource) => number | Sample[];
}

/** Returns one sample for each count, with its key as the value of `label`. */
export function toSamples(label: string, counts: Counts): Sample[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
