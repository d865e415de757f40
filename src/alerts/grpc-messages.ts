// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the framing of gRPC: each message has a flag and its length in front of it.
// Invariant: a message is handed over once and whole, in the order of the stream, however its bytes were cut; no more
// than one message of `maxLength` bytes is held.

import { COMPRESSED, type GrpcStatus, tooLarge } from "./grpc-status.ts";

/** A flag (1: compressed) and a length of four bytes, the most significant first. */
const PREFIX_BYTES = 5;

/** Puts the prefix in front of a message. */
export function framed(message: Uint8Array): Buffer {
  const out = Buffer.alloc(PREFIX_BYTES + message.length);
  out.writeUInt32BE(message.length, 1);
  out.set(message, PREFIX_BYTES);
  return out;
}

/** Cuts what comes in into messages. One that came in one piece is not copied: it is a part of that piece. */
export class MessageCutter {
  readonly #maxLength: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixLength = 0;
  /** The message that is not whole yet. */
  #message: Buffer | undefined;
  #messageLength = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /**
   * Takes the next piece of the stream; `onMessage` returns whether more is wanted. Returns why the stream can't be read
   * on; undefined where it can.
   */
  push(piece: Buffer, onMessage: (message: Buffer) => boolean): GrpcStatus | undefined {
    const { length } = piece;
    let at = 0;
    while (at < length) {
      if (this.#message !== undefined || this.#prefixLength > 0 || length - at < PREFIX_BYTES) {
        at = this.#goOn(piece, at);
      } else {
        const size = messageSize(piece, at);
        const end = at + PREFIX_BYTES + size;
        if (piece[at] === 0 && size <= this.#maxLength && end <= length) {
          const message = piece.subarray(at + PREFIX_BYTES, end);
          at = end;
          if (!onMessage(message)) return undefined;
          continue;
        }
        at = this.#goOn(piece, at);
      }
      if (this.#prefixLength < PREFIX_BYTES) continue;
      const refusal = this.#begin();
      if (refusal !== undefined) return refusal;
      const message = this.#message as Buffer | undefined;
      if (message === undefined || this.#messageLength < message.length) continue;
      this.#prefixLength = 0;
      this.#message = undefined;
      if (!onMessage(message)) return undefined;
    }
    return undefined;
  }

  /** Copies what is missing of a prefix, or else of a message; returns where it ended. */
  #goOn(piece: Buffer, at: number): number {
    const [target, filled] =
      this.#message === undefined ? [this.#prefix, this.#prefixLength] : [this.#message, this.#messageLength];
    const end = Math.min(piece.length, at + target.length - filled);
    piece.copy(target, filled, at, end);
    if (this.#message === undefined) this.#prefixLength += end - at;
    else this.#messageLength += end - at;
    return end;
  }

  /** Makes room for the message of a prefix that is whole. */
  #begin(): GrpcStatus | undefined {
    if (this.#message !== undefined) return undefined;
    const size = messageSize(this.#prefix, 0);
    if (size > this.#maxLength) return tooLarge(size, this.#maxLength);
    if (this.#prefix[0] !== 0) return COMPRESSED;
    this.#message = Buffer.allocUnsafeSlow(size);
    this.#messageLength = 0;
    return undefined;
  }
}

function messageSize(prefix: Buffer, at: number): number {
  return prefix[at + 1]! * 0x100_0000 + ((prefix[at + 2]! << 16) | (prefix[at + 3]! << 8) | prefix[at + 4]!);
}
