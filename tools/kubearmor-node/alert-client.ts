// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One client of WatchAlerts: its bounded queue, the outcome of each alert in it, and when the queue moves.
// Invariant: at any instant offered = sent + dropped + queued + abandoned.

import type { ServerWritableStream } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";

/**
 * Bytes that may wait inside gRPC before a send blocks: grpc-go's default write quota of a stream.
 * What the client's flow-control window tryReserve comes on top of it, as it does there.
 */
export const WRITE_QUOTA_BYTES = 64 * 1024;

/** Outcomes of the alerts of one client. */
export interface AlertCounts {
  /** Alerts that reached this client's queue, or found it full. */
  offered: number;
  /** Alerts handed to the socket; a connection that breaks may still lose the last of them. */
  sent: number;
  /** Alerts that found the queue full. */
  dropped: number;
  /** Alerts waiting now, in the queue or in gRPC behind flow control. */
  queued: number;
  /** Alerts that waited when the stream ended. */
  abandoned: number;
}

/** One client of WatchAlerts as seen from outside. */
export interface AlertClientStats extends AlertCounts {
  /** 1 for the first client of this server. */
  id: number;
  /** Address and port. */
  peer: string;
  filter: string;
}

type AlertCall = ServerWritableStream<{ Filter: string }, Buffer>;

// grpc-js' writable stream takes one message at a time and waits for the socket after each; the call behind it,
// private in its types, takes many, as Go's transport does. Measured: 35 to 45 thousand alerts a second become 110.
interface BehindCall {
  sendMessage(bytes: Buffer, written: () => void): void;
}

export class AlertClient {
  readonly id: number;
  readonly #call: AlertCall;
  readonly #behindCall: BehindCall;
  readonly #peer: string;
  readonly #queueSize: number;
  readonly #drops: boolean;
  readonly #onMoved: () => void;
  readonly #queue: Buffer[] = [];
  #inFlight = 0;
  #inFlightBytes = 0;
  #offered = 0;
  #sent = 0;
  #dropped = 0;
  #abandoned = 0;
  #frozen = false;
  #ending = false;
  #gone = false;

  /** `onMoved` is called whenever an alert has left, so that a waiter for room can look again. */
  constructor(
    id: number,
    call: AlertCall,
    options: { queueSize: number; drops: boolean; frozen: boolean; onMoved: () => void },
  ) {
    this.id = id;
    this.#call = call;
    this.#behindCall = (call as unknown as { call: BehindCall }).call;
    this.#peer = call.getPeer();
    this.#queueSize = options.queueSize;
    this.#drops = options.drops;
    this.#frozen = options.frozen;
    this.#onMoved = options.onMoved;
  }

  get stats(): AlertClientStats {
    return {
      id: this.id,
      peer: this.#peer,
      filter: this.#call.request.Filter,
      offered: this.#offered,
      sent: this.#sent,
      dropped: this.#dropped,
      queued: this.#queue.length + this.#inFlight,
      abandoned: this.#abandoned,
    };
  }

  /** True where one more alert fits the queue. */
  get hasRoom(): boolean {
    return this.#queue.length < this.#queueSize;
  }

  /** Queues the message, or drops it when the queue is full; never waits. */
  offer(bytes: Buffer): void {
    this.#offered += 1;
    if (this.#gone || this.#ending) {
      this.#abandoned += 1;
    } else if (this.#drops && !this.hasRoom) {
      this.#dropped += 1;
    } else {
      this.#queue.push(bytes);
      this.#pump();
    }
  }

  /** While frozen nothing leaves the queue. */
  set frozen(frozen: boolean) {
    this.#frozen = frozen;
    this.#pump();
  }

  /** Ends the stream after what gRPC holds already; the rest of the queue is abandoned, as KubeArmor does. */
  end(code: status, details: string): void {
    if (this.#ending || this.#gone) return;
    this.#ending = true;
    this.#abandonQueue();
    if (code === status.OK) this.#call.end();
    else this.#call.emit("error", { code, details });
  }

  /** To be called when the stream is no more: nothing waits any longer. */
  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#abandonQueue();
    this.#abandoned += this.#inFlight;
    this.#inFlight = 0;
    this.#onMoved();
  }

  #abandonQueue(): void {
    this.#abandoned += this.#queue.length;
    this.#queue.length = 0;
  }

  #pump(): void {
    if (this.#frozen || this.#ending || this.#gone) return;
    while (this.#inFlightBytes < WRITE_QUOTA_BYTES) {
      const bytes = this.#queue.shift();
      if (!bytes) return;
      this.#inFlight += 1;
      this.#inFlightBytes += bytes.length;
      this.#behindCall.sendMessage(bytes, () => this.#onWritten(bytes));
    }
  }

  // Not called for what the connection could not take: then the stream is cancelled, and leave() counts it.
  #onWritten(bytes: Buffer): void {
    if (this.#gone) return;
    this.#inFlightBytes -= bytes.length;
    this.#inFlight -= 1;
    this.#sent += 1;
    this.#pump();
    this.#onMoved();
  }
}
