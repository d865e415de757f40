// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The rules of the protobuf encoding once more, as plainly and as slowly as they can be said: for bytes that
// protobufjs misreads (it takes an int32 of 6 to 9 bytes for one of 10, and replaces a message that comes twice).

import { EXEC_EVENT_FIELDS, INT32_FIELDS, OWNER_FIELDS, TEXT_FIELDS } from "../../src/alerts/decoding/alert-fields.ts";
import type { Alert } from "../../src/api/alert.ts";
import { emptyAlert } from "../../src/api/alert.ts";

class Malformed extends Error {}

interface Field {
  number: number;
  value: bigint | Buffer | "fixed";
}

/** Returns what the bytes hold, or null when they are malformed. */
export function decodeAsOracle(bytes: Buffer): Alert | null {
  const alert = emptyAlert();
  const tags: string[] = [];
  try {
    for (const { number, value } of readFields(bytes)) {
      const text = TEXT_FIELDS[number];
      const int32 = INT32_FIELDS[number];
      if (text) alert[text] = requireBytes(value).toString("utf8");
      else if (int32) alert[int32] = Number(BigInt.asIntN(32, requireVarint(value)));
      else if (number === 1) alert.Timestamp = toSafeNumber(BigInt.asIntN(64, requireVarint(value)));
      else if (number === 30) tags.push(requireBytes(value).toString("utf8"));
      else if (number === 31) Object.assign(alert, readNested(requireBytes(value), OWNER_FIELDS));
      else if (number === 36) Object.assign(alert, readNested(requireBytes(value), EXEC_EVENT_FIELDS));
    }
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
  return { ...alert, ATags: tags };
}

function readNested(bytes: Buffer, names: Readonly<Record<number, string>>): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const { number, value } of readFields(bytes)) {
    const name = names[number];
    if (name) parts[name] = requireBytes(value).toString("utf8");
  }
  return parts;
}

function readFields(bytes: Buffer): Field[] {
  const found: Field[] = [];
  let rest = bytes;
  const take = (length: bigint): Buffer => {
    if (length > rest.length) throw new Malformed();
    const taken = rest.subarray(0, Number(length));
    rest = rest.subarray(Number(length));
    return taken;
  };
  const varint = (): bigint => {
    const last = rest.findIndex((byte) => byte < 0x80);
    if (last < 0 || last > 9) throw new Malformed();
    const value = take(BigInt(last + 1)).reduceRight((sum, byte) => (sum << 7n) | BigInt(byte & 0x7f), 0n);
    if (value >= 2n ** 64n) throw new Malformed();
    return value;
  };
  while (rest.length > 0) {
    const tag = varint();
    const number = Number(tag >> 3n);
    if (number < 1 || number >= 2 ** 29) throw new Malformed();
    const wireType = Number(tag & 7n);
    if (wireType === 0) found.push({ number, value: varint() });
    else if (wireType === 2) found.push({ number, value: take(varint()) });
    else if (wireType === 1 || wireType === 5) {
      take(wireType === 1 ? 8n : 4n);
      found.push({ number, value: "fixed" });
    } else throw new Malformed();
  }
  return found;
}

function requireBytes(value: Field["value"]): Buffer {
  if (!Buffer.isBuffer(value)) throw new Malformed();
  return value;
}

function requireVarint(value: Field["value"]): bigint {
  if (typeof value !== "bigint") throw new Malformed();
  return value;
}

function toSafeNumber(value: bigint): number {
  return value > -(2n ** 53n) && value < 2n ** 53n ? Number(value) : 0;
}
