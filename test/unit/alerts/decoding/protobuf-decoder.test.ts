// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bytes are written out by hand here, so that no encoder stands between the protobuf rules and the reader.

import { describe, expect, it } from "vitest";
import { describeBytes, readAlert } from "../../../../src/alerts/decoding/protobuf-decoder.ts";
import { emptyAlert } from "../../../../src/api/alert.ts";
import { makeAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../../tools/kubearmor-node/wire.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

function encodeVarint(value: bigint | number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

const encodeTag = (field: number, wireType: number): number[] => encodeVarint((field << 3) | wireType);
function encodeNumber(field: number, value: bigint | number): number[] {
  return [...encodeTag(field, VARINT), ...encodeVarint(value)];
}
function encodeBytes(field: number, content: number[]): number[] {
  return [...encodeTag(field, LENGTH), ...encodeVarint(content.length), ...content];
}
const encodeText = (field: number, value: string): number[] => encodeBytes(field, [...Buffer.from(value)]);
const read = (...parts: number[][]) => readAlert(Buffer.from(parts.flat()));

describe("a sound message", () => {
  it("gives an empty alert for no bytes", () => {
    expect(read()).toEqual(emptyAlert());
  });

  const twoOwners = [
    ...encodeBytes(31, [...encodeText(1, "Job"), ...encodeText(2, "old")]),
    ...encodeBytes(31, encodeText(2, "new")),
  ];
  const apt = [...encodeNumber(9, 1), ...encodeText(2, "apt")];
  const unknown = [
    ...encodeNumber(1000, 2n ** 64n - 1n),
    ...[...encodeTag(1001, FIXED64), 1, 2, 3, 4, 5, 6, 7, 8],
    ...encodeBytes(1002, [1, 2]),
    ...[...encodeTag(2 ** 28 - 1, FIXED32), 1, 2, 3, 4],
    ...encodeText(23, "Passed"),
  ];

  it.each([
    ["int32, negative, as ten bytes", encodeNumber(12, -1n), { UID: -1 }],
    ["int32, the smallest", encodeNumber(12, -(2n ** 31n)), { UID: -(2 ** 31) }],
    ["int32, the largest", encodeNumber(9, 2 ** 31 - 1), { HostPID: 2 ** 31 - 1 }],
    ["int32, only its lower 32 bits", encodeNumber(9, 2n ** 40n + 5n), { HostPID: 5 }],
    ["int32 that takes more bytes than it needs", [...encodeTag(9, VARINT), 0x85, 0x80, 0x00], { HostPID: 5 }],
    ["int64 before 1970", encodeNumber(1, -62_135_596_800n), { Timestamp: -62_135_596_800 }],
    ["int64, the largest exact number", encodeNumber(1, 2n ** 53n - 1n), { Timestamp: 2 ** 53 - 1 }],
    ["int64, the smallest exact number", encodeNumber(1, -(2n ** 53n) + 1n), { Timestamp: -(2 ** 53) + 1 }],
    ["int64 above", encodeNumber(1, 2n ** 53n), { Timestamp: 0 }],
    ["int64, the largest", encodeNumber(1, 2n ** 63n - 1n), { Timestamp: 0 }],
    ["int64, the smallest", encodeNumber(1, -(2n ** 63n)), { Timestamp: 0 }],
    ["a text of two-, three- and four-byte characters", encodeText(13, "é€😀"), { PolicyName: "é€😀" }],
    ["an empty text", encodeText(13, ""), { PolicyName: "" }],
    ["a byte order mark, which is content", encodeText(13, "\ufeffx"), { PolicyName: "\ufeffx" }],
    ["invalid UTF-8", encodeBytes(20, [0x2f, 0xff, 0x61]), { Resource: "/\ufffda" }],
    ["a cut-off character", encodeBytes(20, [0x61, 0xe2, 0x82]), { Resource: "a\ufffd" }],
    ["a surrogate as bytes", encodeBytes(20, [0xed, 0xa0, 0x80]), { Resource: "\ufffd\ufffd\ufffd" }],
    ["empty tags", [...encodeText(30, ""), ...encodeText(30, "b")], { ATags: ["", "b"] }],
    ["the last of a repeated text", [...encodeText(13, "a"), ...encodeText(13, "b")], { PolicyName: "b" }],
    ["the last of a repeated number", [...encodeNumber(9, 1), ...encodeNumber(9, 2)], { HostPID: 2 }],
    ["the parts of a repeated message, merged", twoOwners, { OwnerRef: "Job", OwnerName: "new" }],
    ["an empty message", encodeBytes(36, []), {}],
    ["a message with unknown fields", encodeBytes(36, apt), { ExecutableName: "apt" }],
    ["EventData, skipped", encodeBytes(43, [...encodeText(1, "Lsm"), ...encodeText(2, "x")]), {}],
    ["unknown fields of every type, skipped", unknown, { Result: "Passed" }],
  ])("reads %s", (_, message, expected) => {
    expect(read(message)).toEqual({ ...emptyAlert(), ...expected });
  });

  it("does not take the previous alert's text for a similar one", () => {
    // C3 A9 is é; the lone byte E9 is é only in Latin-1.
    expect(read(encodeBytes(13, [0xc3, 0xa9]))?.PolicyName).toBe("é");
    expect(read(encodeBytes(13, [0xe9]))?.PolicyName).toBe("\ufffd");
    expect(read(encodeText(13, "abc"))?.PolicyName).toBe("abc");
    expect(read(encodeText(13, "abd"))?.PolicyName).toBe("abd");
    expect(read(encodeText(13, "ab"))?.PolicyName).toBe("ab");
    expect(read(encodeText(4, "node"))).toEqual({ ...emptyAlert(), HostName: "node" });
  });
});

describe("a malformed message", () => {
  it.each([
    ["a text cut off", [...encodeTag(13, LENGTH), 5, 0x61]],
    ["a length cut off", [...encodeTag(13, LENGTH), 0x80]],
    ["no length", encodeTag(13, LENGTH)],
    ["a length of 4 GiB", [...encodeTag(13, LENGTH), ...encodeVarint(2n ** 32n - 1n)]],
    ["a length beyond 32 bits", [...encodeTag(13, LENGTH), ...encodeVarint(2n ** 32n + 1n), 0x61]],
    ["a number cut off", [...encodeTag(9, VARINT), 0x80, 0x80]],
    ["a tag cut off", [0x80]],
    ["a varint of eleven bytes", [...encodeTag(9, VARINT), ...Array(10).fill(0x80), 0]],
    ["a varint beyond 64 bits", [...encodeTag(9, VARINT), ...Array(9).fill(0x80), 2]],
    ["field number 0", [0x02, 0x00]],
    ["a tag beyond 32 bits", [...encodeVarint(2n ** 35n + 8n), 1]],
    ["a group", [...encodeTag(1000, START_GROUP), ...encodeTag(1000, END_GROUP)]],
    ["the end of a group", encodeTag(1000, END_GROUP)],
    ["wire type 6", encodeTag(1000, 6)],
    ["wire type 7", encodeTag(1000, 7)],
    ["a text as a number", encodeNumber(13, 1)],
    ["a text as fixed32", [...encodeTag(13, FIXED32), 1, 2, 3, 4]],
    ["a number as a text", encodeText(9, "1")],
    ["the time as fixed64", [...encodeTag(1, FIXED64), 1, 2, 3, 4, 5, 6, 7, 8]],
    ["a message as a number", encodeNumber(31, 1)],
    ["a tag of the policy as a number", encodeNumber(30, 1)],
    ["fixed64 cut off", [...encodeTag(1000, FIXED64), 1]],
    ["fixed32 cut off", [...encodeTag(1000, FIXED32), 1]],
    ["an unknown text cut off", [...encodeTag(1000, LENGTH), 9, 1]],
    [
      "an owner whose name ends past it",
      [...encodeBytes(31, [...encodeTag(2, LENGTH), 3, 0x61]), ...encodeText(13, "abc")],
    ],
    ["an owner whose name is a number", encodeBytes(31, encodeNumber(2, 1))],
    ["an owner with field number 0", encodeBytes(31, [0, 0])],
    ["an owner with a group", encodeBytes(31, encodeTag(9, START_GROUP))],
    ["a zero after a sound field", [...encodeText(13, "a"), 0]],
  ])("is refused: %s", (_, message) => {
    expect(read(message)).toBeNull();
  });

  it("is refused wherever a full alert is cut inside of a field, and never read past its end", () => {
    const whole = encodeAlert(makeAlert({ EventData: {} }));
    let sound = 0;
    for (let length = 0; length < whole.length; length++) {
      // Bytes behind the cut are still in memory: a reader that looks there would go unnoticed otherwise.
      const alert = readAlert(whole.subarray(0, length));
      if (alert !== null) sound++;
    }
    // Only a cut before a field is sound: makeAlert has 32 fields, and ATags comes twice.
    expect(sound).toBe(33);
  });
});

describe("describeBytes", () => {
  it.each([
    [[], "0 bytes"],
    [encodeText(13, "hush"), "6 bytes that begin with field 13 of wire type 2"],
    [[0xff], "1 bytes that begin with no field number"],
    [[...encodeTag(1000, START_GROUP)], "2 bytes that begin with field 1000 of wire type 3"],
  ])("has no content: %j", (message, expected) => {
    expect(describeBytes(Buffer.from(message))).toBe(expected);
  });
});
