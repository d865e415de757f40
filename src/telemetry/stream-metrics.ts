// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics of the alert stream and of its security: a part of metric-list.ts.

import type { MetricDefinition } from "./metric-definition.ts";

const MS_PER_SECOND = 1000;

export const streamMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_stream_up",
    help: "1 while the alert stream is open, or that of at least one node, else 0; in a reader also while no node is in its shards; in an owner: while NATS can be used.",
    read: (source) => Number(source.stream().isUp),
  },
  {
    name: "policy_violation_nodes_desired",
    help: "Nodes with a KubeArmor pod; 0 where the relay is read.",
    read: (source) => source.stream().nodes.desired,
  },
  {
    name: "policy_violation_nodes_connected",
    help: "Nodes with an open stream to their KubeArmor; 0 where the relay is read.",
    read: (source) => source.stream().nodes.connected,
  },
  {
    name: "policy_violation_stream_disconnects_total",
    help: "Times that the stream ended or could not be opened, by reason; an outage counts once.",
    labels: ["reason"],
    read: (source) => source.stream().disconnects,
  },
  {
    name: "policy_violation_stream_gaps_total",
    help: "Gaps in the alert stream, in which alerts may be missing, by kind as in a report's coverage.",
    labels: ["kind"],
    read: (source) => source.stream().gaps,
  },
  {
    name: "policy_violation_stream_gap_seconds_total",
    help: "Total length of these gaps once they have ended, by kind.",
    labels: ["kind"],
    read: (source) => source.stream().gapSeconds,
  },
  {
    name: "policy_violation_stream_last_message_timestamp_seconds",
    help: "Time of the last message, in seconds since the epoch; 0 before the first.",
    read: (source) => source.stream().lastMessageMs / MS_PER_SECOND,
  },
  {
    name: "policy_violation_relay_certificate_expiry_timestamp_seconds",
    help: "Expiry of the certificate or the authority of the newest connection to the relay, in seconds since the epoch; 0 without TLS.",
    read: (source) => (source.stream().certificateExpiryMs ?? 0) / MS_PER_SECOND,
  },
];
