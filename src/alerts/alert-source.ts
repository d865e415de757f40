// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where alerts come from. A feed decodes its own transport and hands over Alert values.
// Invariant: a feed never waits for its listener, and a listener never throws and never waits.

import type { Alert, RawAlert } from "../api/alert.ts";
import type { Disconnect, SourceRejection } from "../api/alert-stream.ts";

export interface AlertListener {
  /** An alert, read or as it came; `line` is the 1-based line number of a file, 0 on a stream. */
  onAlert(alert: Alert | RawAlert, line: number): void;
  onRejected(reason: SourceRejection, detail: string, line: number): void;
  /** The stream is open and answered a health check. */
  onConnected(): void;
  onDisconnected(disconnect: Disconnect): void;
}

export interface AlertSource {
  /**
   * Delivers alerts until the signal aborts (or, for a file, until its end), then resolves.
   * Transport failures never reject: they are told to the listener and retried for ever.
   * Rejects only where a retry can't help (a file that can't be read).
   */
  run(listener: AlertListener, signal: AbortSignal): Promise<void>;
}
