// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Messages in the memory of cells, put together again.
// Invariant: a message lacks its time and unknown fields; they are in no memory.

import type { RawAlert } from "../../api/alert.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import type { EpochUs } from "../../lib/time.ts";
import { toEvidence } from "../evidence/evidence.ts";
import type { Redact } from "../evidence/redact.ts";
import type { MessageMemory } from "../evidence/wire-evidence.ts";
import type { ByteArena } from "./byte-arena.ts";
import { base, type CellNumbers, LENGTH, LENGTH_MASK, PLACE, SUBJECT } from "./cell-numbers.ts";
import type { CellRecords } from "./cell-records.ts";
import type { SpanPool } from "./span-pool.ts";

export interface CellMessagesParts {
  arena: ByteArena;
  numbers: CellNumbers;
  records: CellRecords;
  subjects: SpanPool;
  redact: Redact;
}

export class CellMessages implements MessageMemory {
  /** Any alert that was received: it reads others. */
  reader: RawAlert | undefined;
  readonly #parts: CellMessagesParts;

  constructor(parts: CellMessagesParts) {
    this.#parts = parts;
  }

  getMessage(cell: number, record: number): Buffer {
    const { arena, records, subjects } = this.#parts;
    const numbers = this.#parts.numbers.at(cell);
    const at = base(cell);
    const subject = subjects.getBytes(numbers[at + SUBJECT]!);
    const deciding = arena.bytes(numbers[at + PLACE]!, numbers[at + LENGTH]! & LENGTH_MASK);
    return Buffer.concat([subject, deciding, ...records.getPieces(record)]);
  }

  read(message: Buffer, timeUs: EpochUs): Evidence {
    return toEvidence((this.reader as RawAlert).read(message), timeUs, this.#parts.redact);
  }

  releaseRecord(record: number): void {
    this.#parts.records.release(record);
  }
}
