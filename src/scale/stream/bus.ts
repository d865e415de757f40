// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the stream between readers and owners.
// Invariant: its acknowledgements decide when a reader sends the next message, never the counts.

/** The stream as it is now. */
export interface StreamFacts {
  /** Unlike any other stream, also an earlier one of the same name. No `/` and no space. */
  id: string;
  /** Milliseconds since the epoch. */
  createdMs: number;
  /** Messages up to this sequence belong to an earlier identity. */
  startSeq: number;
  /** Sequences of the oldest and newest message; 0 where there is none. */
  firstSeq: number;
  lastSeq: number;
}

/** Outcome of a publication. */
export type StoreResult =
  /** Stored as `seq`; `isRepeat`: it had been stored before. */
  | { kind: "stored"; seq: number; isRepeat: boolean }
  /** Not known to be stored. */
  | { kind: "retry"; message: string };

/** A message of a partition, or undefined where it has none. */
export type LastMessage = { seq: number; bytes: Uint8Array } | undefined;

export interface StreamMessage {
  seq: number;
  /** Time at which the stream stored it. Milliseconds since the epoch. */
  atMs: number;
  bytes: Uint8Array;
}

/** The stream can't be used; the message says what to do. */
export class BusError extends Error {
  override name = "BusError";
}

/** By name: the NATS client is bundled apart and has a class of its own. */
export function isBusError(error: unknown): error is BusError {
  return error instanceof Error && error.name === "BusError";
}

export interface Bus {
  /** Connects, and checks the stream; creates it where there is none. Throws BusError. */
  open(): Promise<StreamFacts>;
  /**
   * Begins another identity where the stream has gone back behind `knownSeq`, so that it gives sequences again; false
   * where it has not, for a server that has just become the leader may answer as if it had. Infinity: it has given some
   * again, and may be beyond them by now. `epoch` is any text that was not used before. Throws BusError.
   */
  renew(knownSeq: number, epoch: string): Promise<boolean>;
  /** True where another message than the one with this id has the sequence: the stream gave it again. Throws BusError. */
  isReplaced(seq: number, id: string): Promise<boolean>;
  /** Stores a message of a partition; never rejects. `id` prevents a second one within two minutes. */
  publish(partition: number, id: string, bytes: Uint8Array): Promise<StoreResult>;
  /** Delivers messages of a partition in order until the signal aborts. Throws BusError. */
  consume(
    partition: number,
    fromSeq: number,
    onMessage: (message: StreamMessage) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** The newest message of a partition. Throws BusError. */
  last(partition: number): Promise<LastMessage>;
  /** The newest checkpoint of a partition. Throws BusError. */
  readCheckpoint(partition: number): Promise<LastMessage>;
  /** Stores a checkpoint; never rejects. */
  writeCheckpoint(partition: number, bytes: Uint8Array): Promise<StoreResult>;
  /** Grows with each connection: a server that was restarted may have lost messages. */
  readonly connections: number;
  /** True once this process could use the stream. */
  readonly hasOpened: boolean;
  /** Settings of the stream that differ from those of this process, which then can use nothing of it; as last known. */
  readonly mismatch: string | undefined;
  /** Reason for which the server is not reached; undefined while it is. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

/** Keys of the Secret, all optional. */
export const SECRET_KEYS = ["nats.creds", "user", "password", "token", "ca.crt", "tls.crt", "tls.key"] as const;

export type NatsSecret = Partial<Record<(typeof SECRET_KEYS)[number], string>>;
