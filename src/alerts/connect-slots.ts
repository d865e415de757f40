// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bounds how many streams connect at the same time: a TLS handshake costs 5 ms of the processor, and each stream of
// KubeArmor's daemon must answer a ping within 5 s.
// Invariant: a slot is given back exactly once, when the stream is alive or has ended.

import type { AlertStream, StreamListener } from "./reconnecting-source.ts";

export class ConnectSlots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Returns the stream, opened only once a slot is free. */
  limit(stream: AlertStream): AlertStream {
    return async (listener, signal) => {
      if (!(await this.#take(signal))) return { kind: "ok_end", message: "stopped" };
      let isHeld = true;
      const giveBack = () => {
        if (!isHeld) return;
        isHeld = false;
        this.#giveBack();
      };
      try {
        return await stream(onSign(listener, giveBack), signal);
      } finally {
        giveBack();
      }
    };
  }

  /** Resolves with false where the signal aborts first. */
  #take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const end = (taken: boolean) => {
        this.#waiting.delete(take);
        signal.removeEventListener("abort", stop);
        resolve(taken);
      };
      const take = () => end(true);
      const stop = () => end(false);
      this.#waiting.add(take);
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else next();
  }
}

/** Returns a listener that calls `mark` before each sign of life that it passes on. */
export function onSign(listener: StreamListener, mark: () => void): StreamListener {
  return {
    onAlive(nowMs) {
      mark();
      listener.onAlive(nowMs);
    },
    onMessage(bytes, nowMs) {
      mark();
      listener.onMessage(bytes, nowMs);
    },
  };
}
