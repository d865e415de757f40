// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One cell for each kind of alert: alerts whose deciding bytes are equal. An alert of a known kind is counted in its
// cell and in a sum of its report, and nowhere else until the counts are taken.
// Invariant: a cell is found by a hash and then by its bytes, so that two kinds never share one. Cells are bounded in
// number and bytes; at a bound the next one that was not used of late is forgotten, after its counts were taken.

import type { RawAlert } from "../../api/alert.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type EvidenceSource, type KeptEvidence, toEvidence } from "../evidence/evidence.ts";
import { PackedEvidence } from "../evidence/packed-evidence.ts";
import type { Redact } from "../evidence/redact.ts";
import { messageText, WireEvidence } from "../evidence/wire-evidence.ts";
import type { ViolationFacts } from "../violation/violation.ts";
import type { Hash64 } from "./alert-hash.ts";
import { ByteArena, getLength } from "./byte-arena.ts";
import { CellCounts } from "./cell-counts.ts";
import { CellIndex } from "./cell-index.ts";
import { CellMessages } from "./cell-messages.ts";
import {
  base,
  CellNumbers,
  CONTAINER,
  HASH_LOW,
  IN_USE,
  LENGTH,
  LENGTH_MASK,
  LISTED,
  NOTED,
  OWNED,
  PLACE,
  RECENT,
  RECORD,
  SUBJECT,
  WIDTH,
} from "./cell-numbers.ts";
import type { CellFacts, CellOwner, TakenCounts } from "./cell-owner.ts";
import { CellOwners } from "./cell-owners.ts";
import { CellRecords } from "./cell-records.ts";
import { CellSums } from "./cell-sums.ts";
import { SpanPool } from "./span-pool.ts";

export interface CellBounds {
  maxCells: number;
  maxBytes: number;
}

/** A cell with its evidence and its slot in the index, and a violation that was decoded; measured on Node 24. */
const CELL_BYTES = 210;
const VIOLATION_BYTES = 700;
/** Longer alerts are read at once: what is left of them is bounded. */
const MAX_MESSAGE = ByteArena.MAX_LENGTH;

export class CellStore implements EvidenceSource {
  readonly #bounds: CellBounds;
  readonly #arena = new ByteArena();
  readonly #index = new CellIndex((cell, raw) => this.#isSameKind(cell, raw));
  readonly #records: CellRecords;
  readonly #subjects: SpanPool;
  readonly #messages: CellMessages;
  /** That of the cell that was added last. */
  #lastSubject = 0;
  readonly #numbers = new CellNumbers();
  readonly owners = new CellOwners(this.#numbers);
  /** Not taken yet. */
  readonly counts: CellCounts;
  readonly sums = new CellSums();
  /** By cell; there is no cell 0. */
  readonly #evidence: (WireEvidence | undefined)[] = [undefined];
  /** The meaning of cells without an owner, which knows it otherwise. */
  readonly #violations = new Map<number, ViolationFacts>();
  readonly #free: number[] = [];
  readonly #redact: Redact;
  #raw: RawAlert | undefined;
  /** The cell looked at last for one to forget. */
  #hand = 0;

  constructor(bounds: CellBounds, redact: Redact) {
    this.#bounds = bounds;
    this.#redact = redact;
    this.#records = new CellRecords(this.#arena);
    this.#subjects = new SpanPool(this.#arena);
    this.#messages = new CellMessages({
      arena: this.#arena,
      numbers: this.#numbers,
      records: this.#records,
      subjects: this.#subjects,
      redact,
    });
    const [numbers, records, messages] = [this.#numbers, this.#records, this.#messages];
    this.counts = new CellCounts({ numbers, records, messages });
  }

  /** Kinds of alerts remembered. */
  get size(): number {
    return this.#index.size;
  }

  /** An estimate of the memory that the cells take. */
  get bytes(): number {
    return (
      this.#arena.bytesUsed +
      this.#records.bytes +
      this.sums.bytes +
      this.size * CELL_BYTES +
      this.#violations.size * VIOLATION_BYTES
    );
  }

  /** Returns the cell of such alerts; 0 for none. */
  find(raw: RawAlert, hash: Hash64): number {
    this.#raw = raw;
    this.#messages.reader = raw;
    if (raw.bytes.length > MAX_MESSAGE) return 0;
    const cell = this.#index.find(hash, raw);
    if (cell !== 0) this.#at(cell)[base(cell) + LENGTH]! |= RECENT;
    return cell;
  }

  /** Begins a cell for the alert looked for last, which was decoded; 0 where it is too long to be remembered. */
  add(hash: Hash64, violation: ViolationFacts): number {
    const raw = this.#raw as RawAlert;
    if (raw.bytes.length > MAX_MESSAGE) return 0;
    const length = getLength(raw.deciding);
    while (this.size > 0 && !this.#hasRoom()) this.#forgetOne();
    const cell = this.#free.pop() ?? this.#newCell();
    const numbers = this.#at(cell);
    const at = base(cell);
    const place = this.#arena.allocate(length);
    this.#arena.write(place, raw.bytes, raw.deciding);
    numbers.fill(0, at, at + WIDTH);
    numbers[at + PLACE] = place;
    this.#lastSubject = this.#subjects.acquire(raw.bytes, raw.subject, this.#lastSubject);
    numbers[at + SUBJECT] = this.#lastSubject;
    numbers[at + HASH_LOW] = hash.low;
    numbers[at + LENGTH] = length | RECENT | IN_USE;
    this.#violations.set(cell, violation);
    this.#index.add(hash, cell);
    return cell;
  }

  /** Remembers again what the alerts of the cell mean, where only its owner knew. */
  setViolation(cell: number, violation: ViolationFacts): void {
    this.#violations.set(cell, violation);
  }

  /** The meaning of the alerts of the cell; undefined where only its owner knows it. */
  getViolation(cell: number): ViolationFacts | undefined {
    return this.#violations.get(cell);
  }

  isOwned(cell: number): boolean {
    return (this.#at(cell)[base(cell) + LENGTH]! & OWNED) !== 0;
  }

  /** Has alerts of the cell counted for `owner`, from now on. The cell must have no other owner. */
  setOwner(cell: number, owner: CellOwner, facts: CellFacts): void {
    this.#violations.delete(cell);
    this.owners.set(cell, owner, facts);
    this.#at(cell)[base(cell) + LENGTH]! |= OWNED;
  }

  /** Counts the alert looked for last in its cell, which has an owner. */
  count(cell: number, timeUs: EpochUs): void {
    const raw = this.#raw as RawAlert;
    const numbers = this.#at(cell);
    const at = base(cell);
    let record = numbers[at + RECORD]!;
    if (record !== 0 && !this.#records.isOfHour(record, timeUs)) {
      this.owners.takeCount(cell);
      record = 0;
    }
    if (record === 0) record = numbers[at + RECORD] = this.#records.begin(this.owners.getSum(cell));
    const order = this.#records.count(record, timeUs);
    if (order > 0 || (order === 0 && this.#sortsLater(cell, record, raw))) {
      numbers[at + CONTAINER] = this.#records.setAlert(record, raw, numbers[at + CONTAINER]!);
    }
    this.#countSum(cell, this.#records.getSum(record), timeUs);
    if ((numbers[at + LENGTH]! & NOTED) === 0) this.#note(cell, timeUs);
  }

  #countSum(cell: number, sum: number, timeUs: EpochUs): void {
    if (this.sums.count(sum, timeUs)) return;
    this.owners.get(cell)?.counter?.takeSums();
    this.sums.count(sum, timeUs);
  }

  /** Has the counter of a cell hear of its counts. */
  #note(cell: number, timeUs: EpochUs): void {
    const numbers = this.#at(cell);
    const at = base(cell);
    const owner = this.owners.get(cell);
    const isListed = (numbers[at + LENGTH]! & LISTED) !== 0;
    owner?.counter?.noteCounting(cell, owner, isListed ? undefined : timeUs);
    numbers[at + LENGTH]! |= LISTED | NOTED;
  }

  /** Returns the alert looked for last as evidence that lasts. */
  keep(timeUs: EpochUs): KeptEvidence {
    const raw = this.#raw as RawAlert;
    if (raw.bytes.length <= MAX_MESSAGE) return new WireEvidence(this.#messages, timeUs, 0, 0, messageText(raw));
    return new PackedEvidence(timeUs, toEvidence(raw.read(raw.bytes), timeUs, this.#redact));
  }

  /**
   * Gives away the counts of a cell; undefined for none. Its newest alert takes the place of `previous` in memory, evidence that nothing but
   * the counts before refers to.
   */
  take(cell: number, previous: KeptEvidence | undefined): TakenCounts | undefined {
    const numbers = this.#at(cell);
    const at = base(cell);
    const record = numbers[at + RECORD]!;
    if (record === 0) return undefined;
    numbers[at + RECORD] = 0;
    const counts = this.#records.getCounts(record);
    const { lastUs } = counts;
    let evidence = this.#evidence[cell];
    if (evidence === undefined || evidence !== previous || !evidence.replace(lastUs, record)) {
      evidence?.detach();
      evidence = this.#evidence[cell] = new WireEvidence(this.#messages, lastUs, cell, record);
    }
    return { ...counts, evidence };
  }

  /** Forgets cells without a counter. Their counts must have been taken. */
  releaseAll(owner: CellOwner): void {
    while (owner.firstCell !== 0) this.#release(owner.firstCell);
  }

  #hasRoom(): boolean {
    return this.size < this.#bounds.maxCells && this.bytes < this.#bounds.maxBytes;
  }

  /** Goes round, and forgets the first cell that was not used since the last round. */
  #forgetOne(): void {
    for (;;) {
      const cell = (this.#hand = (this.#hand + 1) % this.#evidence.length);
      if (cell === 0) continue;
      const numbers = this.#at(cell);
      const at = base(cell);
      if ((numbers[at + LENGTH]! & IN_USE) === 0) continue;
      if ((numbers[at + LENGTH]! & RECENT) !== 0) numbers[at + LENGTH]! &= ~RECENT;
      else {
        if (numbers[at + RECORD] !== 0) this.owners.takeCount(cell);
        this.#release(cell);
        return;
      }
    }
  }

  #release(cell: number): void {
    const numbers = this.#at(cell);
    const at = base(cell);
    this.#evidence[cell]?.detach();
    this.owners.delete(cell);
    this.#index.delete(numbers[at + HASH_LOW]!, cell);
    this.#arena.release(numbers[at + PLACE]!, numbers[at + LENGTH]! & LENGTH_MASK);
    this.#subjects.release(numbers[at + SUBJECT]!);
    numbers.fill(0, at, at + WIDTH);
    this.#evidence[cell] = undefined;
    this.#violations.delete(cell);
    this.#free.push(cell);
  }

  #newCell(): number {
    const cell = this.#evidence.length;
    this.#evidence.push(undefined);
    this.#numbers.reserve(cell);
    return cell;
  }

  #at(cell: number): Int32Array {
    return this.#numbers.at(cell);
  }

  /** Returns true where the deciding bytes of the cell are those of the alert. */
  #isSameKind(cell: number, raw: RawAlert): boolean {
    const numbers = this.#at(cell);
    const place = numbers[base(cell) + PLACE]!;
    const length = numbers[base(cell) + LENGTH]! & LENGTH_MASK;
    const subject = numbers[base(cell) + SUBJECT]!;
    return (
      this.#arena.holds(place, length, raw.bytes, raw.deciding) && this.#subjects.holds(subject, raw.bytes, raw.subject)
    );
  }

  /** Between two alerts of the same time the one with the bytes that sort last is kept: their order has no say. */
  #sortsLater(cell: number, record: number, raw: RawAlert): boolean {
    if (this.#records.isSameAlert(record, raw)) return false;
    return messageText(raw) > this.#messages.getMessage(cell, record).toString("latin1");
  }
}
