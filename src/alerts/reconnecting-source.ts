// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An alert source over a stream that may end: opens it, hands over its messages, waits, opens it again, forever.
// Invariant: each attempt reports onConnected at most once and ends in exactly one onDisconnected, unless it is stopped.
//
//              start
//                │
//                ▼          alive            ended
//          connecting ───────────────▶ open ───────────┐
//            ▲    │                                    │
//            │    └────────────── ended ──────────▶ waiting
//            └───────────────────────────────── elapsed ┘
//
//   From every state `stopped` leads to stopped, which is final.

import type { Disconnect } from "../api/alert-stream.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { toPrintable } from "./decoding/printable.ts";
import { describeBytes, readAlert } from "./decoding/protobuf-decoder.ts";
import { RawAlertReader } from "./decoding/protobuf-scanner.ts";

export interface StreamListener {
  /** One message, not decoded; valid only during the call. */
  onMessage(bytes: Buffer, nowMs: number): void;
  /** The peer answered a health check. */
  onAlive(nowMs: number): void;
}

/** The end of a stream; `refused` is a connection that is not made because it would not be safe. */
export interface StreamEnd {
  kind: "ok_end" | "error" | "watchdog" | "message_too_large" | "refused";
  message: string;
}

/** Opens a stream; resolves at its end, or soon after the abort. Never rejects where a retry may help. */
export type AlertStream = (listener: StreamListener, signal: AbortSignal) => Promise<StreamEnd>;

type StateKind = "connecting" | "open" | "waiting" | "stopped";
type StateEvent = "alive" | "ended" | "elapsed" | "stopped";

export interface ConnectionState {
  kind: StateKind;
  /** Monotonic. */
  sinceMs: number;
  /** Counts from 0; starts again after a stream that lasted as long as the longest wait. */
  attempt: number;
}

/** Every state × event. An event that leads to the same state changes nothing. */
const NEXT: Record<StateKind, Record<StateEvent, StateKind>> = {
  connecting: { alive: "open", ended: "waiting", elapsed: "connecting", stopped: "stopped" },
  open: { alive: "open", ended: "waiting", elapsed: "open", stopped: "stopped" },
  // A late message of the stream that ended opens nothing.
  waiting: { alive: "waiting", ended: "waiting", elapsed: "connecting", stopped: "stopped" },
  stopped: { alive: "stopped", ended: "stopped", elapsed: "stopped", stopped: "stopped" },
};

/** Counts since the start. */
export interface StreamStats {
  /** Messages received, readable or not. */
  messages: number;
  bytes: number;
  /** Connections tried. */
  attempts: number;
  /** Streams that were open. */
  connects: number;
}

export interface ReconnectOptions {
  /** The peer, for the log. */
  name: string;
  /** The longest wait before the first retry; doubles with each further one. Default 250 ms. */
  backoffBaseMs?: number;
  /** The longest wait; a stream that was open for this long resets the back-off. Default 10 s. */
  backoffMaxMs?: number;
}

const MAX_MESSAGE_LENGTH = 400;
/** Different refusals logged per outage: a peer must not fill the log with ever new ones. */
const MAX_LOGGED_REFUSALS = 5;
/** Ends with OK in a row, each soon after the opening, that are not a coincidence. */
const SUSPICIOUS_OK_ENDS = 3;
const OK_END_HINT =
  ", repeatedly right after the opening: KubeArmor does this when it refuses the filter, its relay when it fails to send";

/** Reconnects with full jitter between the attempts. Run it once. */
export class ReconnectingSource implements AlertSource {
  readonly #open: AlertStream;
  readonly #name: string;
  readonly #backoffMaxMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #retry: RetryPolicy;
  readonly #reader = new RawAlertReader();
  readonly #stats: StreamStats = { messages: 0, bytes: 0, attempts: 0, connects: 0 };
  #state: ConnectionState;
  #lastReadMs = 0;
  /** Start of the outage, monotonic: the start of the source, or the end of the last stream that lasted. */
  #outageSinceMs = 0;
  #okEndsInARow = 0;
  /** Refusals of this outage that were logged, without the numbers in them. */
  readonly #loggedRefusals = new Set<string>();
  /** Set for the first opening and for one that ends a logged outage. */
  #isOpeningNews = true;

  constructor(open: AlertStream, options: ReconnectOptions, clock: Clock, logger: Logger) {
    const { name, backoffBaseMs: baseMs = 250, backoffMaxMs: maxMs = 10_000 } = options;
    this.#open = open;
    this.#name = name;
    this.#backoffMaxMs = maxMs;
    this.#clock = clock;
    this.#logger = logger;
    this.#retry = new RetryPolicy(clock, { minMs: 0, baseMs, maxMs });
    this.#state = { kind: "connecting", sinceMs: clock.monotonicMs(), attempt: 0 };
  }

  get stats(): Readonly<StreamStats> {
    return this.#stats;
  }

  get state(): Readonly<ConnectionState> {
    return this.#state;
  }

  async run(listener: AlertListener, signal: AbortSignal): Promise<void> {
    this.#lastReadMs = this.#clock.nowMs();
    this.#outageSinceMs = this.#clock.monotonicMs();
    signal.addEventListener("abort", () => this.#updateState("stopped"), { once: true });
    while (!signal.aborted) {
      this.#stats.attempts++;
      const end = await this.#open(this.#streamListener(listener), signal);
      if (signal.aborted) return;
      if (end.kind === "message_too_large") this.#rejectTooLarge(end, listener);
      if (this.#hasLasted()) this.#retry.reset();
      this.#reportEnd(end, this.#retry.failures, listener);
      this.#updateState("ended");
      await this.#clock.sleep(this.#retry.nextMs(), signal);
      this.#updateState("elapsed");
    }
  }

  /** Returns true where the event led to another state. */
  #updateState(event: StateEvent): boolean {
    const kind = NEXT[this.#state.kind][event];
    if (kind === this.#state.kind) return false;
    this.#state = { kind, sinceMs: this.#clock.monotonicMs(), attempt: this.#retry.failures };
    return true;
  }

  #streamListener(listener: AlertListener): StreamListener {
    return {
      onAlive: (nowMs) => this.#markAlive(nowMs, listener),
      onMessage: (bytes, nowMs) => {
        this.#markAlive(nowMs, listener);
        this.#stats.messages++;
        this.#stats.bytes += bytes.length;
        const alert = this.#reader.find(bytes) ? this.#reader : readAlert(bytes);
        if (alert !== null) listener.onAlert(alert, 0);
        else listener.onRejected("invalid_wire", describeBytes(bytes), 0);
      },
    };
  }

  #markAlive(nowMs: number, listener: AlertListener): void {
    this.#lastReadMs = nowMs;
    if (!this.#updateState("alive")) return;
    this.#stats.connects++;
    listener.onConnected();
    const retries = this.#state.attempt;
    const fields = { peer: this.#name, tookMs: Math.round(this.#clock.monotonicMs() - this.#outageSinceMs), retries };
    this.#logger[this.#isOpeningNews ? "info" : "debug"](fields, "alert stream opened");
    this.#isOpeningNews = false;
  }

  #rejectTooLarge(end: StreamEnd, listener: AlertListener): void {
    // The length of the message was received.
    this.#markAlive(this.#clock.nowMs(), listener);
    this.#stats.messages++;
    listener.onRejected("message_too_large", toPrintable(end.message, MAX_MESSAGE_LENGTH), 0);
  }

  #hasLasted(): boolean {
    const { kind, sinceMs } = this.#state;
    return kind === "open" && this.#clock.monotonicMs() - sinceMs >= this.#backoffMaxMs;
  }

  #reportEnd(end: StreamEnd, attempt: number, listener: AlertListener): void {
    const atMs = this.#clock.nowMs();
    this.#okEndsInARow = end.kind !== "ok_end" ? 0 : attempt === 0 ? 1 : this.#okEndsInARow + 1;
    const hint = this.#okEndsInARow >= SUSPICIOUS_OK_ENDS ? OK_END_HINT : "";
    const message = toPrintable(end.message, MAX_MESSAGE_LENGTH) + hint;
    const reason = disconnectReason(end, this.#state.kind === "open");
    this.#logEnd({ peer: this.#name, reason, peerMessage: message, attempt }, end.kind);
    listener.onDisconnected({ lastReadMs: this.#lastReadMs, atMs, reason, message });
  }

  /** Warns once per outage, once more where it looks like a refusal, and of each new refusal; the rest is debug. */
  #logEnd(fields: { attempt: number; peerMessage: string; [name: string]: unknown }, kind: StreamEnd["kind"]): void {
    if (fields.attempt === 0) {
      this.#outageSinceMs = this.#clock.monotonicMs();
      this.#isOpeningNews = true;
      this.#loggedRefusals.clear();
    }
    const isNewRefusal = kind === "refused" && this.#addRefusal(fields.peerMessage);
    const isNews = fields.attempt === 0 || isNewRefusal || this.#okEndsInARow === SUSPICIOUS_OK_ENDS;
    this.#logger[isNews ? "warn" : "debug"](fields, "no alert stream, reconnecting");
  }

  /** Returns true for a refusal that this outage's log does not have: an outage often begins with a mere reset. */
  #addRefusal(message: string): boolean {
    const words = message.replace(/\d+/g, "");
    if (this.#loggedRefusals.has(words) || this.#loggedRefusals.size >= MAX_LOGGED_REFUSALS) return false;
    this.#loggedRefusals.add(words);
    return true;
  }
}

function disconnectReason(end: StreamEnd, wasOpen: boolean): Disconnect["reason"] {
  if (end.kind === "ok_end") return "ok_end";
  if (!wasOpen) return "connect_failed";
  return end.kind === "watchdog" ? "watchdog" : "error";
}
