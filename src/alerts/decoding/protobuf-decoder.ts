// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Decodes protobuf bytes into an Alert, in one pass.
// Invariant: never throws and never reads past the message.

import type { Alert } from "../../api/alert.ts";
import { emptyAlert } from "../../api/alert.ts";
import type { TextField } from "./alert-fields.ts";
import {
  ATAGS_FIELD,
  EXEC_EVENT_FIELD,
  EXEC_EVENT_FIELDS,
  INT32_FIELDS,
  OWNER_FIELD,
  OWNER_FIELDS,
  TEXT_FIELDS,
  TIMESTAMP_FIELD,
} from "./alert-fields.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

const TEXT: readonly (TextField | undefined)[] = indexByNumber(TEXT_FIELDS);
const OWNER: readonly (TextField | undefined)[] = indexByNumber(OWNER_FIELDS);
const EXEC_EVENT: readonly (TextField | undefined)[] = indexByNumber(EXEC_EVENT_FIELDS);

/**
 * The alert decoded last. Most texts repeat in the next one: comparing is faster than decoding, and equal texts share one
 * string.
 */
let previous: Alert = emptyAlert();

/**
 * Returns the alert, or null for bytes that are not a protobuf message or have a known field of a wrong type.
 *
 * Unknown fields (and EventData, which is derived from Data) are skipped; of a repeated scalar the last one wins;
 * invalid UTF-8 becomes U+FFFD; a Timestamp beyond ±2^53 becomes 0.
 */
export function readAlert(bytes: Uint8Array): Alert | null {
  const cursor = new Cursor(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const alert = emptyAlert();
  const tags: string[] = [];
  while (cursor.at < cursor.end) {
    if (!readField(cursor, alert, tags)) return null;
  }
  if (tags.length > 0) alert.ATags = tags;
  previous = alert;
  return alert;
}

/** Describes rejected bytes without their content. */
export function describeBytes(bytes: Buffer): string {
  if (bytes.length === 0) return "0 bytes";
  const tag = new Cursor(bytes).tag();
  const first = tag === 0 ? "no field number" : `field ${tag >>> 3} of wire type ${tag & 7}`;
  return `${bytes.length} bytes that begin with ${first}`;
}

function readField(cursor: Cursor, alert: Alert, tags: string[]): boolean {
  const tag = cursor.tag();
  const field = tag >>> 3;
  if (field === 0) return false;
  switch (tag & 7) {
    case LENGTH:
      return readLengthField(cursor, field, alert, tags);
    case VARINT:
      return readVarintField(cursor, field, alert);
    default:
      return !isLengthField(field) && !isVarintField(field) && cursor.skip(tag & 7);
  }
}

function readLengthField(cursor: Cursor, field: number, alert: Alert, tags: string[]): boolean {
  const length = cursor.length();
  if (length < 0) return false;
  const name = TEXT[field];
  if (name !== undefined) alert[name] = cursor.text(length, previous[name]);
  else if (field === ATAGS_FIELD) tags.push(cursor.text(length, previous.ATags[tags.length]));
  else if (field === OWNER_FIELD) return readNested(cursor, length, alert, OWNER);
  else if (field === EXEC_EVENT_FIELD) return readNested(cursor, length, alert, EXEC_EVENT);
  else if (isVarintField(field)) return false;
  else cursor.at += length;
  return true;
}

function readVarintField(cursor: Cursor, field: number, alert: Alert): boolean {
  if (isLengthField(field) || !cursor.varint()) return false;
  if (field === TIMESTAMP_FIELD) alert.Timestamp = cursor.int64();
  else {
    const name = INT32_FIELDS[field];
    if (name !== undefined) alert[name] = cursor.low | 0;
  }
  return true;
}

/** Reads a message of strings only; parts of one that comes twice are merged, as protobuf asks. */
function readNested(cursor: Cursor, length: number, alert: Alert, names: readonly (TextField | undefined)[]): boolean {
  const outerEnd = cursor.end;
  cursor.end = cursor.at + length;
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag >>> 3 === 0) return false;
    const name = names[tag >>> 3];
    if (name === undefined) {
      if (!cursor.skip(tag & 7)) return false;
      continue;
    }
    const textLength = (tag & 7) === LENGTH ? cursor.length() : -1;
    if (textLength < 0) return false;
    alert[name] = cursor.text(textLength, previous[name]);
  }
  cursor.end = outerEnd;
  return true;
}

function isVarintField(field: number): boolean {
  return field === TIMESTAMP_FIELD || INT32_FIELDS[field] !== undefined;
}

function isLengthField(field: number): boolean {
  return TEXT[field] !== undefined || field === ATAGS_FIELD || field === OWNER_FIELD || field === EXEC_EVENT_FIELD;
}

function indexByNumber(fields: Readonly<Record<number, TextField>>): readonly (TextField | undefined)[] {
  const numbers = Object.keys(fields).map(Number);
  return Array.from({ length: Math.max(...numbers) + 1 }, (_, number) => fields[number]);
}

/** A position in the bytes. Its readers report failure by value; after one the position means nothing. */
class Cursor {
  readonly bytes: Buffer;
  at = 0;
  end: number;
  /** The lower and upper 32 bits of the last varint, each as an unsigned number. */
  low = 0;
  high = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.end = bytes.length;
  }

  /** Returns field number and wire type, or 0 (no legal tag) at a failure. */
  tag(): number {
    return this.varint() && this.high === 0 ? this.low : 0;
  }

  /** Returns the length of what follows, or -1 when there is none or it ends past the message. */
  length(): number {
    if (!this.varint() || this.high !== 0 || this.low > this.end - this.at) return -1;
    return this.low;
  }

  /** Returns the next `length` bytes as text; `guess` is what they may be. */
  text(length: number, guess: string | undefined): string {
    const start = this.at;
    this.at += length;
    if (guess !== undefined && guess.length === length && this.#isText(guess, start)) return guess;
    return this.bytes.toString("utf8", start, this.at);
  }

  /** Compares the bytes at `start` with `text`; supports ASCII only. */
  #isText(text: string, start: number): boolean {
    for (let i = 0; i < text.length; i++) {
      const byte = this.bytes[start + i]!;
      if (byte > 0x7f || byte !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  int64(): number {
    const value = (this.high | 0) * 0x1_0000_0000 + this.low;
    return Number.isSafeInteger(value) ? value : 0;
  }

  skip(wireType: number): boolean {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case FIXED64:
        this.at += 8;
        break;
      case LENGTH: {
        const length = this.length();
        if (length < 0) return false;
        this.at += length;
        break;
      }
      case FIXED32:
        this.at += 4;
        break;
      default: // Groups, which proto3 does not have, and the two unused types.
        return false;
    }
    return this.at <= this.end;
  }

  /** Reads a varint of at most 64 bits into `low` and `high`; false when it is cut off or longer. */
  varint(): boolean {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) return false;
      const byte = this.bytes[this.at++]!;
      const bits = byte & 0x7f;
      if (i < 5) low |= bits << (7 * i);
      if (i === 4) high = bits >>> 4;
      else if (i > 4) high |= bits << (7 * i - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return i < 9 || byte <= 1;
      }
    }
    return false;
  }
}
