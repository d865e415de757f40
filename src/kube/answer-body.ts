// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// How the body of an answer is read: whole, or line by line for as long as it comes.
// Invariant: memory is bounded by `maxBytes`; leaving a body unread ends its connection.

import { ApiError } from "./api-error.ts";

/** Reads to the end, so that the connection can serve again; undefined beyond `maxBytes` (and the connection ends). */
export async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop destroys the stream.
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const NEWLINE = 0x0a;

/** Yields the lines of a body that are not empty; throws ApiError TooLarge at one beyond `maxBytes`. */
export async function* lines(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
  onBytes: () => void,
): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    onBytes();
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, at));
      from = at + 1;
      const line = Buffer.concat(parts).toString("utf8");
      parts = [];
      size = 0;
      if (line !== "") yield line;
    }
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxBytes)
      throw new ApiError("TooLarge", `a line of the answer has more than ${maxBytes} bytes`);
  }
}
