// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the cutting of bytes into lines.
// Invariant: never holds more than one line of at most the limit, however long the line or the file is.

const LINE_FEED = 0x0a;

export interface LineListener {
  /** The bytes of a line without its line feed; valid only during the call. */
  onLine(line: Buffer, number: number): void;
  /** Called once for a line beyond the limit, as soon as the limit is exceeded. */
  onTooLong(number: number): void;
}

/** Cuts chunks into lines, numbered from 1. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #listener: LineListener;
  #number = 1;
  /** The beginning of the line, copied from earlier chunks: keeping the chunks could hold far more than the line. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  #skipping = false;

  /** `maxBytes` bounds a line without its line feed. */
  constructor(maxBytes: number, listener: LineListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      this.#endLine(chunk.subarray(start, end));
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
  }

  /** Ends a last line that has no line feed. */
  finish(): void {
    if (this.#heldBytes > 0) this.#endLine(Buffer.alloc(0));
  }

  #endLine(rest: Buffer): void {
    if (this.#heldBytes === 0 && rest.length <= this.#maxBytes) {
      if (!this.#skipping) this.#listener.onLine(rest, this.#number);
    } else {
      this.#hold(rest);
      if (!this.#skipping) this.#listener.onLine(this.#held.subarray(0, this.#heldBytes), this.#number);
    }
    this.#number++;
    this.#heldBytes = 0;
    this.#skipping = false;
  }

  #hold(part: Buffer): void {
    if (this.#skipping) return;
    const neededBytes = this.#heldBytes + part.length;
    if (neededBytes > this.#maxBytes) {
      this.#skipping = true;
      this.#heldBytes = 0;
      this.#listener.onTooLong(this.#number);
      return;
    }
    if (neededBytes > this.#held.length) {
      const larger = Buffer.alloc(Math.min(this.#maxBytes, neededBytes * 2));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    part.copy(this.#held, this.#heldBytes);
    this.#heldBytes = neededBytes;
  }
}
