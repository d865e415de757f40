// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Port of everything that alerts come from. A source decodes its own transport and hands over alerts.
// Invariant: a source never waits for its listener, and a listener never throws and never waits.

import type { Alert, RawAlert } from "../api/alert.ts";
import type { Disconnect, SourceRejection } from "../api/alert-stream.ts";

export interface AlertListener {
  /** An alert, decoded or raw; `line` is the line number in a file, from 1, and 0 on a stream. */
  onAlert(alert: Alert | RawAlert, line: number): void;
  /** A log record of KubeArmor (ContainerLog, HostLog), which breaks no policy. */
  onLog?(line: number): void;
  onRejected(reason: SourceRejection, detail: string, line: number): void;
  /** The stream is open and answered a health check; `ended` describes the gap that ends, where nodes are read directly. */
  onConnected(ended?: { nodes: number }): void;
  onDisconnected(disconnect: Disconnect): void;
}

export interface AlertSource {
  /**
   * Delivers alerts until the signal aborts or a file ends, then resolves. Failures of a transport are reported to the
   * listener and retried forever. Rejects only where a retry can't help, as for a file that can't be read.
   */
  run(listener: AlertListener, signal: AbortSignal): Promise<void>;
}
