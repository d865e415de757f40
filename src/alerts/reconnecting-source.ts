// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the life of a feed over a stream that may end: open, tell, wait, open again.
// Invariant: each attempt tells onConnected at most once and ends in exactly one onDisconnected, unless it is stopped.

import type { Disconnect } from "../api/alert-stream.ts";
import type { Clock } from "../lib/clock.ts";
import { fullJitter } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { printable } from "./printable.ts";
import { describeBytes, readAlert } from "./protobuf-decoder.ts";
import { RawAlertReader } from "./protobuf-scanner.ts";

export interface StreamListener {
  /** One message, undecoded; `bytes` are the stream's own. */
  onMessage(bytes: Buffer, nowMs: number): void;
  /** The peer answered a health check. */
  onAlive(nowMs: number): void;
}

/** How a stream ended; `refused` is a connection that is not made because it would not be safe. */
export interface StreamEnd {
  kind: "ok_end" | "error" | "watchdog" | "message_too_large" | "refused";
  message: string;
}

/** Opens a stream and resolves at its end, or soon after the abort; never rejects for anything that a retry may cure. */
export type AlertStream = (listener: StreamListener, signal: AbortSignal) => Promise<StreamEnd>;

/** `attempt` counts from 0 and starts again once a stream has lasted. */
export interface ConnectionState {
  kind: "connecting" | "open" | "waiting";
  sinceMs: number;
  attempt: number;
}

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

/** A feed that says how its connection is. */
export interface ReconnectingSource extends AlertSource {
  state(): ConnectionState;
  readonly stats: Readonly<StreamStats>;
}

export interface ReconnectOptions {
  /** For the log: where the stream comes from. */
  name: string;
  /** The longest wait before the first retry; doubles with each further one. */
  backoffBaseMs: number;
  /** The longest wait; a stream that was open for as long starts the back-off anew. */
  backoffMaxMs: number;
}

const MAX_MESSAGE_LENGTH = 400;
/** Of one outage, so many different refusals are logged: a peer must not fill the log with ever new ones. */
const MAX_TOLD_REFUSALS = 5;
/** So many ends with OK in a row, each soon after the opening, are no coincidence. */
const SUSPICIOUS_OK_ENDS = 3;
const OK_END_HINT =
  ", again and again right after the opening: KubeArmor does so when it refuses the filter, its relay when it fails to send";

/** A feed over streams that are opened again for ever, with full jitter between the attempts. Run it once. */
export class ReconnectingFeed implements ReconnectingSource {
  readonly #open: AlertStream;
  readonly #options: ReconnectOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reader = new RawAlertReader();
  readonly #stats: StreamStats = { messages: 0, bytes: 0, attempts: 0, connects: 0 };
  #state: ConnectionState;
  #lastReadMs = 0;
  /** Since when there has been no lasting stream: the start, or the end of the last one. */
  #outageSinceMs = 0;
  #okEndsInARow = 0;
  /** The refusals of this outage that were logged, without the numbers in them. */
  readonly #toldRefusals = new Set<string>();
  /** Whether the next opening is news: the first one, or one that ends a told outage. */
  #announceOpen = true;

  constructor(open: AlertStream, options: ReconnectOptions, clock: Clock, logger: Logger) {
    this.#open = open;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#state = { kind: "connecting", sinceMs: clock.nowMs(), attempt: 0 };
  }

  get stats(): Readonly<StreamStats> {
    return this.#stats;
  }

  state(): ConnectionState {
    return this.#state;
  }

  async run(listener: AlertListener, signal: AbortSignal): Promise<void> {
    this.#lastReadMs = this.#clock.nowMs();
    this.#outageSinceMs = this.#lastReadMs;
    // Failed or short-lived streams in a row.
    let attempt = 0;
    while (!signal.aborted) {
      this.#enter("connecting", attempt);
      this.#stats.attempts++;
      const end = await this.#open(this.#streamListener(listener), signal);
      if (signal.aborted) return;
      if (end.kind === "message_too_large") this.#refuseTooLarge(end, listener);
      if (this.#hasLasted()) attempt = 0;
      this.#tellEnd(end, attempt, listener);
      this.#enter("waiting", attempt);
      const { backoffBaseMs, backoffMaxMs } = this.#options;
      const waitMs = fullJitter(attempt, backoffBaseMs, backoffMaxMs, this.#clock.random());
      await this.#clock.sleep(waitMs, signal);
      attempt++;
    }
  }

  #enter(kind: ConnectionState["kind"], attempt: number): void {
    this.#state = { kind, sinceMs: this.#clock.nowMs(), attempt };
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
    if (this.#state.kind === "open") return;
    const { attempt } = this.#state;
    this.#enter("open", attempt);
    this.#stats.connects++;
    listener.onConnected();
    const fields = { peer: this.#options.name, tookMs: nowMs - this.#outageSinceMs, retries: attempt };
    if (this.#announceOpen) this.#logger.info(fields, "alert stream open");
    else this.#logger.debug(fields, "alert stream open");
    this.#announceOpen = false;
  }

  #refuseTooLarge(end: StreamEnd, listener: AlertListener): void {
    // A message came, if only its length.
    this.#markAlive(this.#clock.nowMs(), listener);
    this.#stats.messages++;
    listener.onRejected("message_too_large", printable(end.message, MAX_MESSAGE_LENGTH), 0);
  }

  #hasLasted(): boolean {
    const { kind, sinceMs } = this.#state;
    return kind === "open" && this.#clock.nowMs() - sinceMs >= this.#options.backoffMaxMs;
  }

  #tellEnd(end: StreamEnd, attempt: number, listener: AlertListener): void {
    const atMs = this.#clock.nowMs();
    this.#okEndsInARow = end.kind !== "ok_end" ? 0 : attempt === 0 ? 1 : this.#okEndsInARow + 1;
    const hint = this.#okEndsInARow >= SUSPICIOUS_OK_ENDS ? OK_END_HINT : "";
    const message = printable(end.message, MAX_MESSAGE_LENGTH) + hint;
    const reason = disconnectReason(end, this.#state.kind === "open");
    this.#logEnd({ peer: this.#options.name, reason, peerMessage: message, attempt }, end.kind, atMs);
    listener.onDisconnected({ lastReadMs: this.#lastReadMs, atMs, reason, message });
  }

  /** Says an outage once aloud, and once more when it looks like a refusal; the rest is for debugging. */
  #logEnd(
    fields: { attempt: number; peerMessage: string; [name: string]: unknown },
    kind: StreamEnd["kind"],
    atMs: number,
  ): void {
    if (fields.attempt === 0) {
      this.#outageSinceMs = atMs;
      this.#announceOpen = true;
      this.#toldRefusals.clear();
    }
    const isNewRefusal = kind === "refused" && this.#noteRefusal(fields.peerMessage);
    const text = "no alert stream, trying again until there is one";
    const isNews = fields.attempt === 0 || isNewRefusal || this.#okEndsInARow === SUSPICIOUS_OK_ENDS;
    if (isNews) this.#logger.warn(fields, text);
    else this.#logger.debug(fields, text);
  }

  /** Whether a refusal is another than those that this outage's log has: an outage often begins with a mere reset. */
  #noteRefusal(message: string): boolean {
    const words = message.replace(/\d+/g, "");
    if (this.#toldRefusals.has(words) || this.#toldRefusals.size >= MAX_TOLD_REFUSALS) return false;
    this.#toldRefusals.add(words);
    return true;
  }
}

function disconnectReason(end: StreamEnd, wasOpen: boolean): Disconnect["reason"] {
  if (end.kind === "ok_end") return "ok_end";
  if (!wasOpen) return "connect_failed";
  return end.kind === "watchdog" ? "watchdog" : "error";
}
