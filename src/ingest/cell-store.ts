// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One cell for each kind of alert: alerts whose deciding bytes are equal. An alert of a known kind is counted in its
// cell and nowhere else, until the counts are taken.
// Invariant: a cell is found by a hash and then by its bytes, so that two kinds never share one. Cells are bounded in
// number and bytes; at a bound the next one that was not used of late is forgotten, after its counts were taken.

import type { RawAlert } from "../api/alert.ts";
import type { Evidence } from "../api/v1alpha1.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Hash64 } from "./alert-hash.ts";
import { ByteArena, lengthOf } from "./byte-arena.ts";
import { CellIndex } from "./cell-index.ts";
import type { CellList, CellOwner, TakenCounts } from "./cell-owner.ts";
import { CellRecords } from "./cell-records.ts";
import { type EvidenceSource, evidenceOf, type KeptEvidence } from "./evidence.ts";
import { PackedEvidence } from "./packed-evidence.ts";
import type { Redact } from "./redact.ts";
import type { Violation } from "./violation.ts";
import { type MessageMemory, messageText, WireEvidence } from "./wire-evidence.ts";

export interface CellBounds {
  maxCells: number;
  maxBytes: number;
}

/** One kind of alert. */
interface Kind {
  /** Undefined once the cell has an owner, which knows the rest. */
  violation: Violation | undefined;
  owner: CellOwner | undefined;
  evidence: WireEvidence | undefined;
}

/** A cell with its object and its slot in the index, and a violation that was decoded; measured on Node 24. */
const CELL_BYTES = 240;
const VIOLATION_BYTES = 700;
/** Cells are reserved by the thousand. */
const CHUNK_BITS = 10;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
/** Longer alerts are read at once: what is left of them is bounded. */
const MAX_MESSAGE = ByteArena.MAX_LENGTH;
/** Numbers of one cell. */
const WIDTH = 8;
const PLACE = 0;
/** Of the deciding bytes; above it the marks of a cell that was used of late, and of one that has an owner. */
const LENGTH = 1;
const RECORD = 2;
const CONTAINER = 3;
const PREVIOUS = 4;
const NEXT = 5;
const HASH_LOW = 6;
const LENGTH_MASK = 0xffff;
const RECENT = 0x10000;
const OWNED = 0x20000;

export class CellStore implements MessageMemory, EvidenceSource {
  readonly #bounds: CellBounds;
  readonly #arena = new ByteArena();
  readonly #index = new CellIndex((cell, raw) => this.#isOf(cell, raw));
  readonly #records: CellRecords;
  /** Numbers of cells, in pieces; there is no cell 0. */
  readonly #numbers: Int32Array[] = [];
  readonly #kinds: (Kind | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #redact: Redact;
  /** The alert looked for last. */
  #raw: RawAlert | undefined;
  #unowned = 0;
  /** The cell looked at last for one to forget. */
  #hand = 0;

  constructor(bounds: CellBounds, redact: Redact) {
    this.#bounds = bounds;
    this.#redact = redact;
    this.#records = new CellRecords(this.#arena);
  }

  /** Kinds of alerts remembered. */
  get size(): number {
    return this.#index.size;
  }

  /** An estimate of the memory that the cells take. */
  get bytes(): number {
    return (
      this.#arena.bytesUsed + this.#records.bytes + this.size * CELL_BYTES + this.#unowned * VIOLATION_BYTES
    );
  }

  /** Returns the cell of such alerts; 0 for none. */
  find(raw: RawAlert, hash: Hash64): number {
    this.#raw = raw;
    if (raw.bytes.length > MAX_MESSAGE) return 0;
    const cell = this.#index.find(hash, raw);
    if (cell !== 0) this.#at(cell)[base(cell) + LENGTH]! |= RECENT;
    return cell;
  }

  /** Begins a cell for the alert looked for last, which was decoded; 0 where it is too long to be remembered. */
  add(hash: Hash64, violation: Violation): number {
    const raw = this.#raw as RawAlert;
    if (raw.bytes.length > MAX_MESSAGE) return 0;
    const length = lengthOf(raw.deciding);
    while (this.size > 0 && !this.#hasRoom()) this.#forgetOne();
    const cell = this.#free.pop() ?? this.#newCell();
    const numbers = this.#at(cell);
    const at = base(cell);
    const place = this.#arena.allocate(length);
    this.#arena.write(place, raw.bytes, raw.deciding);
    numbers.fill(0, at, at + WIDTH);
    numbers[at + PLACE] = place;
    numbers[at + HASH_LOW] = hash.low;
    numbers[at + LENGTH] = length | RECENT;
    this.#kinds[cell] = { violation, owner: undefined, evidence: undefined };
    this.#unowned++;
    this.#index.add(hash, cell);
    return cell;
  }

  /** Remembers again what the alerts of the cell mean, where only its owner knew. */
  setViolation(cell: number, violation: Violation): void {
    const kind = this.#kindOf(cell);
    if (kind.violation === undefined) this.#unowned++;
    kind.violation = violation;
  }

  /** The meaning of the alerts of the cell; undefined where only its owner knows it. */
  violationOf(cell: number): Violation | undefined {
    return this.#kindOf(cell).violation;
  }

  isOwned(cell: number): boolean {
    return (this.#at(cell)[base(cell) + LENGTH]! & OWNED) !== 0;
  }

  /** Has alerts of the cell counted for `owner`, from now on. The cell must have no other owner. */
  setOwner(cell: number, owner: CellOwner): void {
    const kind = this.#kindOf(cell);
    if (kind.violation !== undefined) this.#unowned--;
    kind.violation = undefined;
    kind.owner = owner;
    const { firstCell } = owner.cells;
    this.#at(cell)[base(cell) + LENGTH]! |= OWNED;
    this.#at(cell)[base(cell) + NEXT] = firstCell;
    if (firstCell !== 0) this.#at(firstCell)[base(firstCell) + PREVIOUS] = cell;
    owner.cells.firstCell = cell;
  }

  /** Counts the alert looked for last in its cell, which has an owner. */
  count(cell: number, timeUs: EpochUs): void {
    const raw = this.#raw as RawAlert;
    const numbers = this.#at(cell);
    const at = base(cell);
    let record = numbers[at + RECORD]!;
    if (record !== 0 && !this.#records.isOfHour(record, timeUs)) {
      this.#kindOf(cell).owner?.takeCounts();
      record = 0;
    }
    const isFirst = record === 0;
    if (isFirst) record = numbers[at + RECORD] = this.#records.begin();
    const order = this.#records.count(record, timeUs);
    if (order > 0 || (order === 0 && this.#sortsLater(cell, record, raw))) {
      numbers[at + CONTAINER] = this.#records.setAlert(record, raw, numbers[at + CONTAINER]!);
    }
    if (isFirst) this.#kindOf(cell).owner?.onCounting();
  }

  /** Returns the alert looked for last as evidence that lasts. */
  keep(timeUs: EpochUs): KeptEvidence {
    const raw = this.#raw as RawAlert;
    if (raw.bytes.length <= MAX_MESSAGE) return new WireEvidence(this, timeUs, 0, 0, messageText(raw));
    return new PackedEvidence(timeUs, evidenceOf(raw.read(raw.bytes), timeUs, this.#redact));
  }

  /**
   * Gives away the counts of a cell. Its newest alert takes the place of `previous` in memory, evidence that nothing but
   * the counts before refers to.
   */
  take(cell: number, previous: KeptEvidence | undefined): TakenCounts {
    const numbers = this.#at(cell);
    const at = base(cell);
    const record = numbers[at + RECORD]!;
    numbers[at + RECORD] = 0;
    const kind = this.#kindOf(cell);
    const counts = this.#records.countsOf(record);
    const { lastUs } = counts;
    if (kind.evidence === undefined || kind.evidence !== previous || !kind.evidence.replace(lastUs, record)) {
      kind.evidence?.detach();
      kind.evidence = new WireEvidence(this, lastUs, cell, record);
    }
    return { ...counts, evidence: kind.evidence };
  }

  /** Forgets cells without a counter. Their counts must have been taken. */
  releaseAll(cells: CellList): void {
    while (cells.firstCell !== 0) this.#release(cells.firstCell);
  }

  /** Returns the message that a cell and a record hold, without its time and unknown fields. */
  messageOf(cell: number, record: number): Buffer {
    const place = this.#at(cell)[base(cell) + PLACE]!;
    const length = this.#at(cell)[base(cell) + LENGTH]! & LENGTH_MASK;
    return Buffer.concat([this.#arena.bytes(place, length), ...this.#records.piecesOf(record)]);
  }

  /** Reads a message that `messageOf` returned. */
  read(message: Buffer, timeUs: EpochUs): Evidence {
    return evidenceOf((this.#raw as RawAlert).read(message), timeUs, this.#redact);
  }

  releaseRecord(record: number): void {
    this.#records.release(record);
  }

  #hasRoom(): boolean {
    return this.size < this.#bounds.maxCells && this.bytes < this.#bounds.maxBytes;
  }

  /** Goes round, and forgets the first cell that was not used since the last round. */
  #forgetOne(): void {
    for (;;) {
      const cell = (this.#hand = (this.#hand + 1) % this.#kinds.length);
      if (this.#kinds[cell] === undefined) continue;
      const numbers = this.#at(cell);
      const at = base(cell);
      if ((numbers[at + LENGTH]! & RECENT) !== 0) numbers[at + LENGTH]! &= ~RECENT;
      else {
        if (numbers[at + RECORD] !== 0) this.#kindOf(cell).owner?.takeCounts();
        this.#release(cell);
        return;
      }
    }
  }

  #release(cell: number): void {
    const kind = this.#kindOf(cell);
    const numbers = this.#at(cell);
    const at = base(cell);
    kind.evidence?.detach();
    if (kind.violation !== undefined) this.#unowned--;
    if (kind.owner) {
      const previous = numbers[at + PREVIOUS]!;
      const next = numbers[at + NEXT]!;
      if (previous === 0) kind.owner.cells.firstCell = next;
      else this.#at(previous)[base(previous) + NEXT] = next;
      if (next !== 0) this.#at(next)[base(next) + PREVIOUS] = previous;
    }
    this.#index.delete(numbers[at + HASH_LOW]!, cell);
    this.#arena.release(numbers[at + PLACE]!, numbers[at + LENGTH]! & LENGTH_MASK);
    this.#kinds[cell] = undefined;
    this.#free.push(cell);
  }

  #newCell(): number {
    const cell = this.#kinds.length;
    this.#kinds.push(undefined);
    if (this.#numbers.length <= cell >>> CHUNK_BITS) this.#numbers.push(new Int32Array(WIDTH << CHUNK_BITS));
    return cell;
  }

  #at(cell: number): Int32Array {
    return this.#numbers[cell >>> CHUNK_BITS]!;
  }

  #kindOf(cell: number): Kind {
    return this.#kinds[cell] as Kind;
  }

  /** Returns true where the deciding bytes of the cell are those of the alert. */
  #isOf(cell: number, raw: RawAlert): boolean {
    const numbers = this.#at(cell);
    const place = numbers[base(cell) + PLACE]!;
    const length = numbers[base(cell) + LENGTH]! & LENGTH_MASK;
    return this.#arena.holds(place, length, raw.bytes, raw.deciding);
  }

  /** Of two alerts of the same time the one with the bytes that sort last is kept, so that their order has no say. */
  #sortsLater(cell: number, record: number, raw: RawAlert): boolean {
    if (this.#records.isSameAlert(record, raw)) return false;
    return messageText(raw) > this.messageOf(cell, record).toString("latin1");
  }
}

function base(cell: number): number {
  return (cell & CHUNK_MASK) * WIDTH;
}
