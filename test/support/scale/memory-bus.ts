// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A stream in memory that behaves as JetStream does: one order, sequences that grow, answers that get lost.

import type { StreamMessage } from "../../../src/scale/stream/bus.ts";
import {
  type Bus,
  BusError,
  type LastMessage,
  type StoreResult,
  type StreamFacts,
} from "../../../src/scale/stream/bus.ts";
import type { FakeClock } from "../fake-clock.ts";

interface Stored extends StreamMessage {
  subject: string;
  id: string | undefined;
}

/** Outcome of one publication. */
export type Fate = "stored" | "stored_unanswered" | "refused";

/** State that all processes share. */
export class MemoryStream {
  id = "stream-1";
  isAway = false;
  createdMs = 0;
  startSeq = 0;
  lastSeq = 0;
  starts = 1;
  messages: Stored[] = [];
  /** Newest messages that a server does not know yet which has just become the leader. */
  unknown = 0;
  /** Without it a repeated message is stored again, as after the server's window for duplicates. */
  dropsDuplicates = true;
  fate: () => Fate = () => "stored";

  /** Deletes the stream and makes a new one of the same name. */
  recreate(): void {
    this.id = `stream-${Number(this.id.slice(7)) + 1}`;
    this.lastSeq = 0;
    this.startSeq = 0;
    this.messages = [];
  }

  /** The server starts again: every process connects again. */
  restart(): void {
    this.starts++;
  }

  /** The newest message of a subject that the server knows. */
  findLast(subject: string): LastMessage {
    const knownSeq = this.lastSeq - this.unknown;
    return this.messages.findLast((one) => one.subject === subject && one.seq <= knownSeq);
  }

  /** Removes what is older, as a server does at max_age, checkpoints included. */
  removeBefore(ms: number): void {
    this.messages = this.messages.filter(({ atMs }) => atMs >= ms);
  }

  /** Loses counts, but not checkpoints: messages that a person deletes, or that are damaged on the disk. */
  loseCounts(isLost: (seq: number) => boolean): void {
    this.messages = this.messages.filter(({ seq, subject }) => !subject.startsWith("d.") || !isLost(seq));
  }

  /** Loses the newest messages, as a server without sync_interval may at a power loss. */
  loseTail(count: number): void {
    this.restart();
    this.messages = this.messages.slice(0, Math.max(0, this.messages.length - count));
    this.lastSeq = this.messages.at(-1)?.seq ?? 0;
  }
}

/** One process's connection. */
export class MemoryBus implements Bus {
  readonly #stream: MemoryStream;
  readonly #clock: FakeClock;
  /** Nothing of a dead process reaches the stream, and it hears nothing. */
  isDead = false;
  problem: string | undefined;
  mismatch: string | undefined;
  hasOpened = true;

  constructor(stream: MemoryStream, clock: FakeClock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  async open(): Promise<StreamFacts> {
    await this.#reach();
    const { id, createdMs, startSeq, messages, unknown } = this.#stream;
    const lastSeq = this.#stream.lastSeq - unknown;
    return { id, createdMs, lastSeq, startSeq, firstSeq: messages[0]?.seq ?? lastSeq + 1 };
  }

  async renew(knownSeq: number): Promise<boolean> {
    await this.#reach();
    this.#stream.lastSeq++;
    this.#stream.unknown = 0;
    if (this.#stream.lastSeq > knownSeq) return false;
    this.#stream.id = `stream-${Number(this.#stream.id.slice(7)) + 1}`;
    this.#stream.startSeq = this.#stream.lastSeq;
    return true;
  }

  get connections(): number {
    return this.#stream.starts;
  }

  async isReplaced(seq: number, id: string): Promise<boolean> {
    await this.#reach();
    return this.#stream.messages.some((one) => one.seq === seq && one.id !== id);
  }

  async publish(partition: number, id: string, bytes: Uint8Array): Promise<StoreResult> {
    return await this.#store(`d.${partition}`, bytes, id);
  }

  async writeCheckpoint(partition: number, bytes: Uint8Array): Promise<StoreResult> {
    return await this.#store(`c.${partition}`, bytes, undefined);
  }

  async last(partition: number): Promise<LastMessage> {
    await this.#reach();
    return this.#stream.findLast(`d.${partition}`);
  }

  async readCheckpoint(partition: number): Promise<LastMessage> {
    await this.#reach();
    return this.#stream.findLast(`c.${partition}`);
  }

  async consume(
    partition: number,
    fromSeq: number,
    onMessage: (message: StreamMessage) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let next = fromSeq;
    while (!signal.aborted) {
      await this.#reach();
      for (const message of this.#stream.messages) {
        if (message.seq < next || message.subject !== `d.${partition}`) continue;
        next = message.seq + 1;
        onMessage(message);
        if (signal.aborted) return;
      }
      await this.#clock.sleep(50, signal);
    }
  }

  async close(): Promise<void> {}

  async #store(subject: string, bytes: Uint8Array, id: string | undefined): Promise<StoreResult> {
    if (this.isDead) return await new Promise(() => {});
    const stream = this.#stream;
    await this.#clock.sleep(1 + Math.floor(this.#clock.random() * 20));
    if (this.isDead) return await new Promise(() => {});
    if (stream.isAway) return { kind: "retry", message: "away" };
    const fate = stream.fate();
    if (fate === "refused") return { kind: "retry", message: "refused" };
    const known = stream.dropsDuplicates && id !== undefined && stream.messages.find((one) => one.id === id);
    if (known) return { kind: "stored", seq: known.seq, isRepeat: true };
    stream.lastSeq++;
    stream.messages.push({ seq: stream.lastSeq, atMs: this.#clock.nowMs(), subject, id, bytes });
    if (fate === "stored_unanswered") return { kind: "retry", message: "no answer" };
    return { kind: "stored", seq: stream.lastSeq, isRepeat: false };
  }

  async #reach(): Promise<void> {
    if (this.isDead) await new Promise(() => {});
    if (this.#stream.isAway) throw new BusError("away");
  }
}
