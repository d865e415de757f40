// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The state of the alert stream as an alert source reports it: unreadable input, and the end of a connection.
// Invariant: types only; nothing here runs.

/** Reason why a piece of input is not an alert. */
export type SourceRejection =
  | "invalid_wire" // bytes that are not a protobuf Alert
  | "message_too_large" // beyond the receive limit; the stream ends with it
  | "invalid_json" // a line that is not JSON
  | "not_an_alert" // JSON, but no object with any field of an alert
  | "line_too_long"; // beyond the line limit; skipped unread

/** The stream ended at `atMs`; nothing has been read for certain since `lastReadMs`. */
export interface Disconnect {
  /** The last time at which the stream was known to work (a message or a health answer). */
  lastReadMs: number;
  atMs: number;
  /**
   * `ok_end` is an end with status OK: KubeArmor's way to refuse a filter and the relay's way to fail. `node_down` is the
   * loss of nodes where all are read directly.
   */
  reason: "ok_end" | "error" | "watchdog" | "connect_failed" | "node_down";
  /** The words of the peer or the transport. */
  message: string;
  /** Nodes that are missing; only with `node_down`. */
  nodes?: number;
}
