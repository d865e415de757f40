// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds an alert's fields on the wire without reading them. Invariant: readAlert accepts every alert that is accepted
// here; any alert that is unusual in some way is left to readAlert.

import type { Alert, Pieces, RawAlert } from "../../api/alert.ts";
import {
  ATAGS_FIELD,
  EXEC_EVENT_FIELD,
  INT32_FIELDS,
  OWNER_FIELD,
  TEXT_FIELDS,
  TIMESTAMP_FIELD,
} from "./alert-fields.ts";
import { readAlert } from "./protobuf-decoder.ts";

/** Treatments of a field. */
const SKIP = 0; // Unknown, of either wire type.
const DECIDES = 1;
const CONTAINER = 2;
const OWN_TEXT = 3;
const OWN_VARINT = 4;
const TIME = 5;
const TIMESTAMP = 6;
const EXEC_EVENT = 7;
const OWNER = 8;
/** Field number 0 is not a field. */
const REFUSE = 9;
const SUBJECT = 10;

/**
 * Fields that decode reads apart from time and evidence; a test compares these lists with it. The same in all alerts of
 * a pod and a policy, as a rule:
 */
const SUBJECT_NAMES: ReadonlySet<string> = new Set([
  "HostName",
  "NamespaceName",
  "PodName",
  "ContainerID",
  "ContainerName",
  "PolicyName",
  "Severity",
  "Tags",
  "Message",
  "Type",
]);
const DECIDING_NAMES: ReadonlySet<string> = new Set([
  "Source",
  "Operation",
  "Resource",
  "Data",
  "Enforcer",
  "Action",
  "Result",
  "ParentProcessName",
  "ProcessName",
]);

/** The same in all alerts of a container, as a rule. */
const CONTAINER_NAMES: ReadonlySet<string> = new Set([
  "ClusterName",
  "NodeID",
  "ContainerImage",
  "Labels",
  "KubeArmorVersion",
]);

/** The field numbers that take one or two bytes as a tag end here; beyond it nothing is known. */
const FIELDS = 1 << 11;
const TREATMENT = createTreatments();
/** Pieces of one group; in KubeArmor's order there are at most eight. */
const MAX_PIECES = 64;
const EMPTY = new Uint8Array();

export class RawAlertReader implements RawAlert {
  bytes: Uint8Array = EMPTY;
  readonly subject = createPieces();
  readonly deciding = createPieces();
  readonly container = createPieces();
  readonly own = createPieces();
  timestamp = 0;
  timeStart = 0;
  timeEnd = 0;
  /** Behind the varint that was read last; negative when there was none. */
  #at = 0;

  /** Finds the fields; returns false for a message that is not as usual. Then nothing else here means anything. */
  find(bytes: Uint8Array): boolean {
    this.bytes = bytes;
    this.subject.length = 0;
    this.deciding.length = 0;
    this.container.length = 0;
    this.own.length = 0;
    this.timestamp = 0;
    this.timeStart = 0;
    this.timeEnd = 0;
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      const start = at;
      let tag = bytes[at++]!;
      if (tag > 0x7f) {
        if (at >= end || bytes[at]! > 0x7f) return false;
        tag = (tag & 0x7f) | (bytes[at++]! << 7);
      }
      const treatment = TREATMENT[tag >>> 3]!;
      const wireType = tag & 7;
      if (wireType === 2) {
        const length = this.#readVarint(bytes, at);
        at = this.#at + length;
        if (length < 0 || at > end) return false;
        if (!this.#scanLengthField(treatment, start, this.#at, at)) return false;
      } else if (wireType === 0) {
        const value = this.#readVarint(bytes, at);
        at = this.#at;
        if (at < 0 || !this.#scanVarintField(treatment, start, value)) return false;
      } else return false;
    }
    return true;
  }

  read(bytes: Uint8Array): Alert {
    const alert = readAlert(bytes);
    if (alert === null) throw new Error("a message that was sound is not any more");
    return alert;
  }

  #scanLengthField(treatment: number, fieldStart: number, start: number, end: number): boolean {
    switch (treatment) {
      case SUBJECT:
        return append(this.subject, fieldStart, end);
      case DECIDES:
        return append(this.deciding, fieldStart, end);
      case CONTAINER:
        return append(this.container, fieldStart, end);
      case OWN_TEXT:
        return append(this.own, fieldStart, end);
      case SKIP:
        return true;
      case TIME:
        this.timeStart = start;
        this.timeEnd = end;
        return true;
      case EXEC_EVENT:
        return this.#hasTexts(start, end) && append(this.own, fieldStart, end);
      case OWNER:
        return this.#hasTexts(start, end) && append(this.subject, fieldStart, end);
      default:
        return false;
    }
  }

  #scanVarintField(treatment: number, start: number, value: number): boolean {
    if (treatment === OWN_VARINT) return append(this.own, start, this.#at);
    if (treatment !== TIMESTAMP) return treatment === SKIP;
    this.timestamp = value;
    return value >= 0;
  }

  /** Returns true for a nested message that holds nothing but texts. */
  #hasTexts(start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      const tag = this.bytes[at]!;
      if ((tag & 7) !== 2 || tag < 0x08 || tag > 0x7f) return false;
      const length = this.#readVarint(this.bytes, at + 1);
      if (length < 0) return false;
      at = this.#at + length;
    }
    return at === end;
  }

  /**
   * Returns the varint at `at`, of at most five bytes, and moves behind it. One of ten bytes (a negative int32) is
   * only passed over and gives -1; anything else gives -1 and a negative place.
   */
  #readVarint(bytes: Uint8Array, at: number): number {
    const first = bytes[at];
    if (first === undefined) return this.#rejectVarint();
    if (first < 0x80) {
      this.#at = at + 1;
      return first;
    }
    let value = first & 0x7f;
    let factor = 0x80;
    for (let i = 1; i < 5; i++) {
      const byte = bytes[at + i];
      if (byte === undefined) return this.#rejectVarint();
      value += (byte & 0x7f) * factor;
      factor *= 0x80;
      if (byte < 0x80) {
        this.#at = at + i + 1;
        return value;
      }
    }
    for (let i = 5; i < 9; i++) if (!(bytes[at + i]! > 0x7f)) return this.#rejectVarint();
    if (!(bytes[at + 9]! <= 1)) return this.#rejectVarint();
    this.#at = at + 10;
    return -1;
  }

  #rejectVarint(): number {
    this.#at = -1;
    return -1;
  }
}

function createPieces(): { readonly places: Int32Array; length: number } {
  return { places: new Int32Array(2 * MAX_PIECES), length: 0 };
}

/** Adds a piece, or makes the last one longer where this one follows it; false when there is no room. */
function append(pieces: Pieces, start: number, end: number): boolean {
  const { places, length } = pieces;
  if (length > 0 && places[length - 1] === start) places[length - 1] = end;
  else {
    if (length === places.length) return false;
    places[length] = start;
    places[length + 1] = end;
    pieces.length = length + 2;
  }
  return true;
}

function createTreatments(): Uint8Array {
  const table = new Uint8Array(FIELDS).fill(SKIP);
  table[0] = REFUSE;
  for (const [number, name] of Object.entries(TEXT_FIELDS)) {
    table[Number(number)] = getTreatment(name);
  }
  for (const number of Object.keys(INT32_FIELDS)) table[Number(number)] = OWN_VARINT;
  table[TIMESTAMP_FIELD] = TIMESTAMP;
  table[ATAGS_FIELD] = SUBJECT;
  table[OWNER_FIELD] = OWNER;
  table[EXEC_EVENT_FIELD] = EXEC_EVENT;
  return table;
}

function getTreatment(name: string): number {
  if (SUBJECT_NAMES.has(name)) return SUBJECT;
  if (DECIDING_NAMES.has(name)) return DECIDES;
  if (CONTAINER_NAMES.has(name)) return CONTAINER;
  return name === "UpdatedTime" ? TIME : OWN_TEXT;
}
