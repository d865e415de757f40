// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A source's listener that records its calls, in order.

import type { AlertListener } from "../../../src/alerts/alert-source.ts";
import type { Alert, RawAlert } from "../../../src/api/alert.ts";
import type { Disconnect, SourceRejection } from "../../../src/api/alert-stream.ts";

export type Received =
  | { kind: "alert"; alert: Alert; line: number }
  | { kind: "rejected"; reason: SourceRejection; detail: string; line: number }
  | { kind: "connected" }
  | { kind: "disconnected"; disconnect: Disconnect };

export class RecordingListener implements AlertListener {
  readonly received: Received[] = [];
  /** Called after each entry. */
  onReceived: () => void = () => {};

  onAlert(given: Alert | RawAlert, line: number): void {
    const alert = "deciding" in given ? given.read(given.bytes) : given;
    this.#add({ kind: "alert", alert, line });
  }

  onRejected(reason: SourceRejection, detail: string, line: number): void {
    this.#add({ kind: "rejected", reason, detail, line });
  }

  onConnected(): void {
    this.#add({ kind: "connected" });
  }

  onDisconnected(disconnect: Disconnect): void {
    this.#add({ kind: "disconnected", disconnect });
  }

  get alerts(): Alert[] {
    return this.received.flatMap((t) => (t.kind === "alert" ? [t.alert] : []));
  }

  get rejections(): { reason: SourceRejection; detail: string; line: number }[] {
    return this.received.flatMap((t) =>
      t.kind === "rejected" ? [{ reason: t.reason, detail: t.detail, line: t.line }] : [],
    );
  }

  get disconnects(): Disconnect[] {
    return this.received.flatMap((t) => (t.kind === "disconnected" ? [t.disconnect] : []));
  }

  count(kind: Received["kind"]): number {
    return this.received.filter((t) => t.kind === kind).length;
  }

  #add(entry: Received): void {
    this.received.push(entry);
    this.onReceived();
  }
}
