// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An alert as evidence, in the bytes that were received; decoded, redacted and rendered only when it is read.
// Invariant: it never changes: evidence that shares its bytes with a cell copies them before the cell takes new ones.

import type { RawAlert } from "../../api/alert.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { KeptEvidence } from "./evidence.ts";

/** PORT: the memory of messages, and their decoding. */
export interface MessageMemory {
  getMessage(cell: number, record: number): Buffer;
  releaseRecord(record: number): void;
  read(message: Buffer, timeUs: EpochUs): Evidence;
}

/** The object around the bytes; measured on Node 24. */
const OBJECT_BYTES = 90;

export class WireEvidence implements KeptEvidence {
  timeUs: EpochUs;
  readonly #memory: MessageMemory;
  readonly #cell: number;
  /** 0 once the bytes are in `#text`. */
  #record: number;
  /** One character for each byte. */
  #text: string | undefined;
  #isShared = false;

  /** `message` is undefined where a record of a cell holds it. */
  constructor(memory: MessageMemory, timeUs: EpochUs, cell: number, record: number, message?: string) {
    this.#memory = memory;
    this.timeUs = timeUs;
    this.#cell = cell;
    this.#record = record;
    this.#text = message;
  }

  read(): Evidence {
    const message =
      this.#text === undefined ? this.#memory.getMessage(this.#cell, this.#record) : Buffer.from(this.#text, "latin1");
    return this.#memory.read(message, this.timeUs);
  }

  /** The message: equal for equal alerts, ordered for others. */
  get text(): string {
    return this.#text ?? this.#memory.getMessage(this.#cell, this.#record).toString("latin1");
  }

  /** Replaces this alert by a newer one of its cell; false where it is kept in two places. */
  replace(timeUs: EpochUs, record: number): boolean {
    if (this.#isShared || this.#text !== undefined) return false;
    const isOlder =
      timeUs < this.timeUs ||
      (timeUs === this.timeUs && this.#memory.getMessage(this.#cell, record).toString("latin1") <= this.text);
    this.#memory.releaseRecord(isOlder ? record : this.#record);
    if (isOlder) return true;
    this.#record = record;
    this.timeUs = timeUs;
    return true;
  }

  /** Copies the message out of its cell, and frees the record. */
  detach(): void {
    if (this.#text !== undefined) return;
    this.#text = this.text;
    this.#memory.releaseRecord(this.#record);
  }

  share(): void {
    this.#isShared = true;
  }

  leave(): void {}

  get weight(): number {
    return OBJECT_BYTES + (this.#text?.length ?? 0);
  }
}

/** The text of an alert as WireEvidence has it. */
export function messageText({ bytes, subject, deciding, container, own }: RawAlert): string {
  const parts: Uint8Array[] = [];
  for (const { places, length } of [subject, deciding, container, own]) {
    for (let i = 0; i < length; i += 2) parts.push(bytes.subarray(places[i], places[i + 1]));
  }
  return Buffer.concat(parts).toString("latin1");
}
