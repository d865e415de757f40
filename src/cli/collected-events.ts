// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Events kept in memory in place of a cluster's, for the demo.

import type { EventResult, EventSink, NewEvent, UidResult } from "../events/event-recorder.ts";
import { table } from "./table.ts";

interface Collected {
  event: NewEvent;
  count: number;
}

/** Takes every Event as the API server would, for objects that all exist. */
export class CollectedEvents implements EventSink {
  readonly #events = new Map<string, Collected>();

  async findUid(): Promise<UidResult> {
    return { kind: "found", uid: "00000000-0000-0000-0000-000000000000" };
  }

  async create(event: NewEvent): Promise<EventResult> {
    this.#events.set(`${event.namespace}/${event.name}`, { event, count: event.series?.count ?? 1 });
    return { kind: "sent" };
  }

  async patchSeries(ref: { namespace: string; name: string }, series: { count: number }): Promise<EventResult> {
    const known = this.#events.get(`${ref.namespace}/${ref.name}`);
    if (!known) return { kind: "gone" };
    known.count = series.count;
    return { kind: "sent" };
  }

  /** The Events as `kubectl get events -A` would list them, by object. */
  formatTable(): string {
    const rows = [...this.#events.values()].map(({ event, count }) => [
      event.namespace,
      "Warning",
      event.reason,
      `${event.regarding.kind.toLowerCase()}/${event.regarding.name}`,
      `x${count}`,
      event.note,
    ]);
    rows.sort((a, b) => (a.join("\u0000") < b.join("\u0000") ? -1 : 1));
    return table(["NAMESPACE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"], rows);
  }
}
