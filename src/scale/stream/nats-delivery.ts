// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Messages of a consumer, in order.

import type { ConsumerMessages } from "@nats-io/jetstream";
import { BusError, type StreamMessage } from "./bus.ts";

/** Hands over messages until the signal aborts. Throws BusError where one was lost on the way. */
export async function deliver(
  messages: ConsumerMessages,
  onMessage: (message: StreamMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let next = 0;
  try {
    for await (const { seq, info, data } of messages) {
      if (signal.aborted) return;
      // The server numbers deliveries without a gap: a missing one was lost on the way.
      if (next !== 0 && info.deliverySequence !== next)
        throw new BusError("messages were lost between the server and this process");
      next = info.deliverySequence + 1;
      onMessage({ seq, atMs: Math.floor(info.timestampNanos / 1_000_000), bytes: data });
    }
    if (!signal.aborted) throw new BusError("the server ended the delivery of messages");
  } finally {
    signal.removeEventListener("abort", stop);
    messages.stop();
  }
}
