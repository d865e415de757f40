// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the body of an answer: whole, or line by line while it lasts.
// Invariant: memory is bounded by `maxBytes`; leaving a body unread ends its connection.

import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { LineSplitter } from "../lib/line-splitter.ts";
import { ApiError } from "./api-error.ts";

const decompress = promisify(gunzip);

/**
 * Reads to the end, so that the connection can serve again; undefined beyond `maxBytes` (and the connection ends), which
 * bounds a compressed body both as it comes and as it is.
 */
export async function readBody(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
  isCompressed = false,
): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop destroys the stream.
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  const whole = Buffer.concat(chunks);
  if (!isCompressed) return whole.toString("utf8");
  try {
    return (await decompress(whole, { maxOutputLength: maxBytes })).toString("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw error;
  }
}

/** Yields the lines of a body that are not empty; throws ApiError TooLarge at one beyond `maxBytes`. */
export async function* readLines(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
  onBytes: () => void,
): AsyncGenerator<string, void, undefined> {
  let lines: string[] = [];
  let isTooLarge = false;
  const splitter = new LineSplitter(maxBytes, {
    onLine: (line) => void (line.length > 0 && !isTooLarge && lines.push(line.toString("utf8"))),
    onTooLong: () => {
      isTooLarge = true;
    },
  });
  for await (const chunk of body) {
    onBytes();
    splitter.push(chunk);
    yield* lines;
    lines = [];
    if (isTooLarge) {
      throw new ApiError("TooLarge", `a line of the answer has more than ${maxBytes} bytes`);
    }
  }
}
