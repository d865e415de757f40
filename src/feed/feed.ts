// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where alerts come from. A feed decodes its own transport and hands over Alert values.
// Invariant: a feed never waits for its listener, and a listener never throws and never waits.

import type { Alert, RawAlert } from "../api/alert.ts";

/** Why a piece of input is no alert at all. */
export type FeedRejection =
  | "invalid_wire" // bytes that are no protobuf Alert
  | "message_too_large" // beyond the receive limit; the stream ends with it
  | "invalid_json" // a line that is no JSON
  | "not_an_alert" // JSON, but no object with any field of an alert
  | "line_too_long"; // beyond the line limit; skipped unread

/** The stream ended at `atMs`; nothing has been read for certain since `lastReadMs`. */
export interface Disconnect {
  /** The last time at which the stream was known to work (a message or a health answer). */
  lastReadMs: number;
  atMs: number;
  /** `ok_end` is an end with status OK: KubeArmor's way to refuse a filter and the relay's way to fail. */
  reason: "ok_end" | "error" | "watchdog" | "connect_failed";
  /** What the peer or the transport said, for people. */
  message: string;
}

export interface FeedListener {
  /** An alert, read or as it came; `line` is the 1-based line number of a file, 0 on a stream. */
  onAlert(alert: Alert | RawAlert, line: number): void;
  onRejected(reason: FeedRejection, detail: string, line: number): void;
  /** The stream is open and answered a health check. */
  onConnected(): void;
  onDisconnected(disconnect: Disconnect): void;
}

export interface Feed {
  /**
   * Delivers alerts until the signal aborts (or, for a file, until its end), then resolves.
   * Transport failures never reject: they are told to the listener and retried for ever.
   * Rejects only where a retry can't help (a file that can't be read).
   */
  run(listener: FeedListener, signal: AbortSignal): Promise<void>;
}
