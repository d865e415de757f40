// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What the decoder says of bytes, and what it keeps from one message to the next; test/property/alerts-wire.test.ts holds
// it to the rules of the encoding.

import { expect, it } from "vitest";
import { describeBytes, readAlert } from "../../../../src/alerts/decoding/protobuf-decoder.ts";
import { emptyAlert } from "../../../../src/api/alert.ts";

/** A text of fewer than 128 bytes as a field below 16. */
function encodeText(field: number, content: string | number[]): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.from([(field << 3) | 2, bytes.length, ...bytes]);
}

it("does not take the previous alert's text for a similar one", () => {
  // C3 A9 is é; the lone byte E9 is é only in Latin-1.
  expect(readAlert(encodeText(13, [0xc3, 0xa9]))?.PolicyName).toBe("é");
  expect(readAlert(encodeText(13, [0xe9]))?.PolicyName).toBe("\ufffd");
  expect(readAlert(encodeText(13, "abc"))?.PolicyName).toBe("abc");
  expect(readAlert(encodeText(13, "abd"))?.PolicyName).toBe("abd");
  expect(readAlert(encodeText(13, "ab"))?.PolicyName).toBe("ab");
  expect(readAlert(encodeText(4, "node"))).toEqual({ ...emptyAlert(), HostName: "node" });
});

it.each([
  [[], "0 bytes"],
  [[...encodeText(13, "hush")], "6 bytes that begin with field 13 of wire type 2"],
  [[0xff], "1 bytes that begin with no field number"],
  [[0xc3, 0x3e], "2 bytes that begin with field 1000 of wire type 3"],
])("describes %j without content", (message, expected) => {
  expect(describeBytes(Buffer.from(message))).toBe(expected);
});
