// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations with their committed counts, as bytes outside the heap: most have no others there at a time.
// Invariant: an entry is read back as it was written. A violation that does not fit (many pods, long texts) is not packed.

import { ByteArena } from "../../ingest/cells/byte-arena.ts";
import type { KeptEvidence } from "../../ingest/evidence/evidence.ts";
import { NO_RULE, type RuleFacts } from "../../ingest/violation/rule.ts";
import type { EpochUs } from "../../lib/time.ts";
import { Pods } from "../counts/pods.ts";
import type { Tally } from "../counts/tally.ts";

/** One violation; its evidence stays an object. */
export interface PackedCounts {
  /** As identityKey makes it. */
  key: string;
  /** 16 hex digits. */
  id: string;
  committed: Tally | undefined;
  writtenInSweep: number;
}

/** Parts of the committed counts of one violation. */
export interface Stored {
  occurrences: number;
  lastUs: EpochUs;
  rule: RuleFacts;
  latest: KeptEvidence | undefined;
  /** Retention sweep before which they were committed last in this process. */
  writtenInSweep: number;
}

/** A record: doubles and integers, then two doubles for each pod, then the texts. */
const OCCURRENCES = 0;
/** In the place of occurrences where nothing is committed. */
const NONE = -1;
const FIRST = 8;
const LAST = 16;
const ID = 24;
const RULE = 32;
const SWEEP = 36;
const TEXT_BYTES = 40;
const PODS = 42;
const HEADER_BYTES = 48;
const POD_BYTES = 16;
const MAX_PODS = 16;
const MAX_TEXT = 4096;
/** Between texts: a control character, which no sanitized text holds. */
const SEPARATOR = "\u001e";
/** Texts of a pod: its key where that is not its name, name, node. */
const POD_TEXTS = 3;

const NOTHING = { occurrences: NONE, firstUs: 0, lastUs: 0, rule: NO_RULE, pods: new Pods() };

export class PackedEntries {
  readonly #arena = new ByteArena();
  readonly #rules = new RuleTable();

  /** Writes a violation; returns its place, and -1 where it does not fit. */
  write({ key, id, committed, writtenInSweep }: PackedCounts): number {
    const { occurrences, firstUs, lastUs, rule, pods: all } = committed ?? NOTHING;
    const pods = [...all];
    const text = [key, ...pods.flatMap(([podKey, { name, node }]) => [podKey === name ? "" : podKey, name, node])];
    const joined = text.join(SEPARATOR);
    if (pods.length > MAX_PODS || joined.length > MAX_TEXT || !canRestore(joined, text.length)) return -1;
    const textBytes = Buffer.byteLength(joined, "utf8");
    const textAt = HEADER_BYTES + pods.length * POD_BYTES;
    const place = this.#arena.allocate(textAt + textBytes);
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place);
    view.setFloat64(at + OCCURRENCES, occurrences, true);
    view.setFloat64(at + FIRST, firstUs, true);
    view.setFloat64(at + LAST, lastUs, true);
    view.setUint32(at + ID, Number.parseInt(id.slice(0, 8), 16), true);
    view.setUint32(at + ID + 4, Number.parseInt(id.slice(8), 16), true);
    view.setInt32(at + RULE, this.#rules.acquire(rule), true);
    view.setInt32(at + SWEEP, writtenInSweep, true);
    view.setUint16(at + TEXT_BYTES, textBytes, true);
    view.setUint16(at + PODS, pods.length, true);
    for (const [i, [, pod]] of pods.entries()) {
      view.setFloat64(at + HEADER_BYTES + i * POD_BYTES, pod.occurrences, true);
      view.setFloat64(at + HEADER_BYTES + i * POD_BYTES + 8, pod.lastUs, true);
    }
    this.#arena.writeText(place, textAt, joined);
    return place;
  }

  /** Reads a violation; its evidence is undefined. */
  read(place: number): PackedCounts {
    const [key = "", ...texts] = this.#readText(place).split(SEPARATOR);
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place);
    const pods = new Pods();
    for (let i = 0; i < view.getUint16(at + PODS, true); i++) {
      const [podKey = "", name = "", node = ""] = texts.slice(i * POD_TEXTS, (i + 1) * POD_TEXTS);
      pods.set(podKey === "" ? name : podKey, {
        name,
        node,
        occurrences: view.getFloat64(at + HEADER_BYTES + i * POD_BYTES, true),
        lastUs: view.getFloat64(at + HEADER_BYTES + i * POD_BYTES + 8, true),
      });
    }
    const id = this.readId(place);
    const stored = this.readStored(place, undefined);
    if (!stored) return { key, id, committed: undefined, writtenInSweep: view.getInt32(at + SWEEP, true) };
    const { writtenInSweep, ...counts } = stored;
    const firstUs = view.getFloat64(at + FIRST, true);
    const committed: Tally = { ...counts, firstUs, pods, journaledSecond: 0 };
    return { key, id, committed, writtenInSweep };
  }

  release(place: number): void {
    this.#rules.release(this.#integer(place, RULE));
    this.#arena.release(place, this.getSize(place));
  }

  readKey(place: number): string {
    const text = this.#readText(place);
    const end = text.indexOf(SEPARATOR);
    return end < 0 ? text : text.slice(0, end);
  }

  readId(place: number): string {
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place) + ID;
    return [at, at + 4].map((half) => view.getUint32(half, true).toString(16).padStart(8, "0")).join("");
  }

  /** Reads parts of the committed counts, with their evidence; undefined where nothing is committed. */
  readStored(place: number, latest: KeptEvidence | undefined): Stored | undefined {
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place);
    const occurrences = view.getFloat64(at + OCCURRENCES, true);
    if (occurrences === NONE) return undefined;
    return {
      occurrences,
      lastUs: view.getFloat64(at + LAST, true),
      rule: this.#rules.get(view.getInt32(at + RULE, true)),
      writtenInSweep: view.getInt32(at + SWEEP, true),
      latest,
    };
  }

  /** Bytes that the record takes. */
  getSize(place: number): number {
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place);
    const pods = view.getUint16(at + PODS, true);
    return HEADER_BYTES + pods * POD_BYTES + view.getUint16(at + TEXT_BYTES, true);
  }

  #integer(place: number, field: number): number {
    return this.#arena.view(place).getInt32(ByteArena.offset(place) + field, true);
  }

  #readText(place: number): string {
    const view = this.#arena.view(place);
    const at = ByteArena.offset(place);
    const from = HEADER_BYTES + view.getUint16(at + PODS, true) * POD_BYTES;
    return this.#arena.readText(place, from, view.getUint16(at + TEXT_BYTES, true));
  }
}

/** Returns true for texts that are equal after writing, reading and splitting. */
function canRestore(joined: string, texts: number): boolean {
  let separators = 0;
  for (let at = joined.indexOf(SEPARATOR); at >= 0; at = joined.indexOf(SEPARATOR, at + 1)) separators++;
  return separators === texts - 1 && joined.isWellFormed();
}

/** Rules by number, as long as a record refers to them. */
class RuleTable {
  readonly #numbers = new Map<string, number>();
  readonly #rules: { rule: RuleFacts; references: number }[] = [];
  readonly #free: number[] = [];

  acquire(rule: RuleFacts): number {
    const known = this.#numbers.get(rule.text);
    if (known !== undefined) {
      this.#rules[known]!.references++;
      return known;
    }
    const number = this.#free.pop() ?? this.#rules.length;
    this.#rules[number] = { rule, references: 1 };
    this.#numbers.set(rule.text, number);
    return number;
  }

  get(number: number): RuleFacts {
    return this.#rules[number]!.rule;
  }

  release(number: number): void {
    const entry = this.#rules[number]!;
    if (--entry.references > 0) return;
    this.#numbers.delete(entry.rule.text);
    this.#free.push(number);
  }
}
