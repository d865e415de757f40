// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics of several processes over a stream; exported only where scale is used.

import type { MetricDefinition } from "./metric-definition.ts";
import type { ScaleNumbers } from "./metrics-source.ts";

function read(number: (numbers: ScaleNumbers) => number): MetricDefinition["read"] {
  return ({ scale }) => (scale ? number(scale()) : []);
}

export const scaleMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_scale_parts_held",
    help: "Shards of nodes that this reader holds, or partitions of reports that this owner holds.",
    read: read(({ held }) => held),
  },
  {
    name: "policy_violation_scale_replicas",
    help: "Replicas of this kind (readers or owners) that are alive, as this one sees it.",
    read: read(({ replicas }) => replicas),
  },
  {
    name: "policy_violation_scale_stream_up",
    help: "1 while the NATS stream can be used.",
    read: read(({ isStreamUp }) => (isStreamUp ? 1 : 0)),
  },
  {
    name: "policy_violation_scale_messages_total",
    help: "Messages published (reader) or read (owner).",
    read: read(({ messages }) => messages),
  },
  {
    name: "policy_violation_scale_publish_retries_total",
    help: "Publications that were not acknowledged and sent again.",
    read: read(({ retries }) => retries),
  },
  {
    name: "policy_violation_scale_occurrences_total",
    help: "Occurrences published (reader) or added to reports (owner).",
    read: read(({ occurrences }) => occurrences),
  },
  {
    name: "policy_violation_scale_lost_occurrences_total",
    help: "Upper bound of the occurrences missing in the stream, declared as gaps of kind TransportLost.",
    read: read(({ lost }) => lost),
  },
  {
    name: "policy_violation_scale_dropped_occurrences_total",
    help: "Occurrences dropped: beyond the bound on reports (owner), or of shards that another reader holds (reader).",
    read: read(({ dropped }) => dropped),
  },
  {
    name: "policy_violation_scale_messages_skipped_total",
    help: "Messages that were not counted, by reason.",
    labels: ["reason"],
    read: ({ scale }) => scale?.().skipped ?? {},
  },
];
