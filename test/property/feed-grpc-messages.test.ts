// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { expect, it } from "vitest";
import { framed, MessageCutter } from "../../src/alerts/grpc-messages.ts";

const MAX = 300;
const message = fc.uint8Array({ maxLength: MAX });

/** Cuts `bytes` into pieces of these lengths, again and again. */
function pieces(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    out.push(bytes.subarray(at, at + length));
    at += length;
  }
  return out;
}

it("hands over the messages as they were sent, wherever the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 10 }),
      (messages, lengths) => {
        const cutter = new MessageCutter(MAX);
        const got: Buffer[] = [];
        for (const piece of pieces(Buffer.concat(messages.map(framed)), lengths)) {
          const refusal = cutter.push(piece, (bytes) => got.push(Buffer.from(bytes)) > 0);
          expect(refusal).toBeUndefined();
        }
        expect(got).toEqual(messages.map((bytes) => Buffer.from(bytes)));
      },
    ),
  );
});

it("refuses a message beyond the limit after all that came before it, wherever the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: MAX + 1, max: 0xffff_ffff }),
      (messages, length, tooLong) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(tooLong, 1);
        const cutter = new MessageCutter(MAX);
        let count = 0;
        let refusal: unknown;
        for (const piece of pieces(Buffer.concat([...messages.map(framed), prefix]), [length])) {
          refusal ??= cutter.push(piece, () => ++count > 0);
        }
        expect(count).toBe(messages.length);
        expect(refusal).toEqual({
          code: 8,
          details: `Received message larger than max (${tooLong} vs 300)`,
          isTooLarge: true,
        });
      },
    ),
  );
});
