// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The hand-written reader against protobufjs, which shares no code with it, where protobufjs keeps to the rules, and
// against the rules themselves for bytes that are damaged or odd.

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { loadSync, Writer } from "protobufjs";
import { describe, expect, it } from "vitest";
import { describeBytes, readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import type { Alert } from "../../src/api/alert.ts";
import { emptyAlert } from "../../src/api/alert.ts";
import { checkAll } from "../support/gen.ts";
import { type WireAlert, wireAlert } from "./wire-alert.ts";
import { decodeAsOracle } from "./wire-oracle.ts";

const root = loadSync(fileURLToPath(new URL("../../proto/kubearmor.proto", import.meta.url)));
const type = root.lookupType("feeder.Alert");
// EventData is skipped unread; so it must be here.
const { EventData: eventData } = type.fields;
if (eventData) type.remove(eventData);

/** The reading of protobufjs, in the shape of ours. Throws on what it refuses. */
function decodeWithReference(bytes: Uint8Array): Alert {
  const object: WireAlert = type.toObject(type.decode(bytes), { longs: BigInt, arrays: true });
  const { Owner, ExecEvent, Timestamp, ...flat } = object;
  const seconds = Number(Timestamp ?? 0n);
  return {
    ...emptyAlert(),
    ...flat,
    Timestamp: Number.isSafeInteger(seconds) ? seconds : 0,
    OwnerRef: Owner?.Ref ?? "",
    OwnerName: Owner?.Name ?? "",
    OwnerNamespace: Owner?.Namespace ?? "",
    ExecID: ExecEvent?.ExecID ?? "",
    ExecutableName: ExecEvent?.ExecutableName ?? "",
  };
}

const encode = (alert: WireAlert): Uint8Array => type.encode(type.fromObject(alert)).finish();

describe("sound bytes", () => {
  it("give what protobufjs reads", () => {
    checkAll(100, [wireAlert], (alert) => {
      const bytes = encode(alert);
      expect(readAlert(Buffer.from(bytes))).toEqual(decodeWithReference(bytes));
    });
  });

  it("may come in any number of pieces, with unknown fields between them", () => {
    const unknown = fc.oneof(
      fc.tuple(fc.constant(0), fc.bigInt(0n, 2n ** 64n - 1n)),
      fc.tuple(fc.constant(1), fc.uint8Array({ minLength: 8, maxLength: 8 })),
      fc.tuple(fc.constant(2), fc.uint8Array({ maxLength: 20 })),
      fc.tuple(fc.constant(5), fc.uint8Array({ minLength: 4, maxLength: 4 })),
    );
    const field = fc.integer({ min: 45, max: 2 ** 29 - 1 });
    const piece = fc.oneof(
      wireAlert.map(encode),
      fc.tuple(field, unknown).map(([number, [wireType, value]]) => encodeUnknown(number, wireType, value)),
    );
    checkAll(100, [fc.array(piece, { maxLength: 8 })], (pieces) => {
      const bytes = Buffer.concat(pieces);
      expect(readAlert(bytes)).not.toBeNull();
      expect(readAlert(bytes)).toEqual(decodeAsOracle(bytes));
    });
  });
});

describe("broken bytes", () => {
  /** Overwrites, drops or inserts a few bytes of a sound message, or cuts it. */
  const damage = fc.record({
    at: fc.nat(),
    drop: fc.integer({ min: 0, max: 3 }),
    insert: fc.uint8Array({ maxLength: 3 }),
    cutTo: fc.option(fc.nat(), { freq: 3 }),
  });

  it("are refused, or read by the rules", () => {
    checkAll(3_000, [wireAlert, fc.array(damage, { minLength: 1, maxLength: 4 })], (alert, damages) => {
      let bytes = Buffer.from(encode(alert));
      for (const { at, drop, insert, cutTo } of damages) {
        const place = bytes.length === 0 ? 0 : at % bytes.length;
        bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + drop)]);
        if (cutTo !== null) bytes = bytes.subarray(0, cutTo % (bytes.length + 1));
      }
      expectByTheRules(bytes);
    });
  });

  it("may be anything", () => {
    checkAll(3_000, [fc.uint8Array({ maxLength: 300 })], (bytes) => expectByTheRules(Buffer.from(bytes)));
  });
});

/** Numbers at the bounds of int32, of int64 and of what a JavaScript number holds exactly. */
const BOUNDS = [31n, 32n, 35n, 40n, 53n, 63n, 64n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits, 2n ** bits + 1n]);
const VARINTS: readonly Uint8Array[] = [
  ...[0n, 1n, ...BOUNDS, ...BOUNDS.map((n) => -n)].map((n) => encodeVarint(BigInt.asUintN(64, n))),
  // Longer than needed, of eleven bytes, beyond 64 bits, cut off.
  Uint8Array.of(0x85, 0x80, 0x00),
  Uint8Array.from([...Array(10).fill(0x80), 0]),
  Uint8Array.from([...Array(9).fill(0x80), 2]),
  Uint8Array.of(0x80, 0x80),
];

describe("numbers at their bounds", () => {
  const varint = fc.constantFrom(...VARINTS);

  it("are read by the rules as the value of a field", () => {
    const field = fc.constantFrom(1, 9, 12, 13, 30, 31, 36, 1000);
    checkAll(3_000, [field, fc.nat(7), varint, fc.uint8Array({ maxLength: 3 })], (number, type, value, rest) => {
      expectByTheRules(Buffer.concat([encodeVarint(BigInt((number << 3) | type)), value, rest]));
    });
  });

  it("are read by the rules as a tag, also within an owner", () => {
    checkAll(1_000, [varint, varint, fc.uint8Array({ maxLength: 3 })], (tag, value, rest) => {
      const fields = Buffer.concat([tag, value, rest]);
      expectByTheRules(fields);
      expectByTheRules(Buffer.concat([encodeVarint((31n << 3n) | 2n), Buffer.of(fields.length), fields]));
    });
  });
});

function expectByTheRules(bytes: Buffer): void {
  expect(readAlert(bytes)).toEqual(decodeAsOracle(bytes));
  expect(describeBytes(bytes)).toMatch(/^\d+ bytes( that begin with (no field number|field \d+ of wire type [0-7]))?$/);
}

function encodeUnknown(field: number, wireType: number, value: bigint | Uint8Array): Uint8Array {
  const writer = Writer.create().uint32(((field << 3) | wireType) >>> 0);
  const head = wireType === 2 && typeof value !== "bigint" ? writer.uint32(value.length).finish() : writer.finish();
  return Buffer.concat([head, typeof value === "bigint" ? encodeVarint(value) : value]);
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const more = rest > 0x7fn;
    bytes.push(Number(rest & 0x7fn) | (more ? 0x80 : 0));
    if (!more) return Uint8Array.from(bytes);
  }
}
