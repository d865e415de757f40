// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The stream on NATS JetStream.
// Invariant: loaded only where scale is enabled. Acknowledgements of consumers and their state are not used.

import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type MsgRequest,
  PubHeaders,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamInfo,
} from "@nats-io/jetstream";
import { connect, type NatsConnection, nanos } from "@nats-io/transport-node";
import { stableHash } from "../../lib/hash.ts";
import type { Logger } from "../../lib/logger.ts";
import {
  type Bus,
  BusError,
  isBusError,
  type LastMessage,
  type NatsSecret,
  type StoreResult,
  type StreamFacts,
  type StreamMessage,
} from "./bus.ts";
import { listCredentials, toCredentials } from "./nats-credentials.ts";
import { deliver } from "./nats-delivery.ts";
import { checkServer, explain } from "./nats-errors.ts";
import { toTls } from "./nats-tls.ts";
import { findStreamFaults, PARTITIONS, SHARDS, type StreamSettings } from "./stream-settings.ts";

export interface NatsOptions extends StreamSettings {
  /** `nats://host:port` or `tls://host:port`, several separated by commas. */
  url: string;
  /** Name of the connection, for the server's list of clients. */
  name: string;
  /** Reads the credentials, before each first connection. */
  readSecret: () => Promise<NatsSecret>;
  /** Time by which certificates are valid; milliseconds since the epoch. */
  nowMs: () => number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 5_000;
/** A server that does not answer two pings is left for another. */
const PING_MS = 5_000;
const NO_STREAM = 10_059;
/** Bytes of messages that wait for a consumer: the server sends no more than it is asked for. */
const CONSUME_BYTES = 4 * 1024 * 1024;
const HEARTBEAT_MS = 5_000;
const EPOCH = "policy-violation-operator-epoch";

interface Open {
  connection: NatsConnection;
  stream: JetStreamClient;
  manager: JetStreamManager;
}

export class NatsBus implements Bus {
  readonly #options: NatsOptions;
  readonly #logger: Logger;
  #opening: Promise<Open> | undefined;
  #usesTls = false;
  #credentials = "";
  connections = 0;
  hasOpened = false;
  mismatch: string | undefined;
  problem: string | undefined = "not yet connected";

  constructor(options: NatsOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  async open(): Promise<StreamFacts> {
    return await this.#try(async ({ manager }) => {
      const info = await this.#findStream(manager);
      const faults = findStreamFaults(info.config, this.#options);
      this.mismatch =
        faults.length === 0 ? undefined : `stream ${this.#options.stream} has other settings: ${faults.join("; ")}`;
      if (this.mismatch !== undefined) throw new BusError(this.mismatch);
      this.hasOpened = true;
      return toFacts(info);
    });
  }

  async renew(knownSeq: number, epoch: string): Promise<boolean> {
    const { stream, prefix } = this.#options;
    return await this.#try(async ({ stream: client, manager }) => {
      // A majority stores it behind all that is stored; a single server may not yet know of that.
      const options = { timeout: REQUEST_TIMEOUT_MS, expect: { streamName: stream } };
      const { seq } = await client.publish(`${prefix}.position`, new Uint8Array(), options);
      if (seq > knownSeq) return false;
      const { config } = await manager.streams.info(stream);
      const metadata = { ...config.metadata, [EPOCH]: `${epoch}/${seq}` };
      await manager.streams.update(stream, { ...config, metadata });
      return true;
    });
  }

  async isReplaced(seq: number, id: string): Promise<boolean> {
    const found = await this.#getMessage({ seq });
    return found !== null && found.header.get(PubHeaders.MsgIdHdr) !== id;
  }

  async publish(partition: number, id: string, bytes: Uint8Array): Promise<StoreResult> {
    return await this.#store(`${this.#options.prefix}.d.${partition}`, bytes, id);
  }

  async writeCheckpoint(partition: number, bytes: Uint8Array): Promise<StoreResult> {
    return await this.#store(`${this.#options.prefix}.c.${partition}`, bytes);
  }

  async last(partition: number): Promise<LastMessage> {
    return await this.#getLast(`${this.#options.prefix}.d.${partition}`);
  }

  async readCheckpoint(partition: number): Promise<LastMessage> {
    return await this.#getLast(`${this.#options.prefix}.c.${partition}`);
  }

  async consume(
    partition: number,
    fromSeq: number,
    onMessage: (message: StreamMessage) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#try(async ({ stream, manager }) => {
      const consumer = await manager.consumers.add(this.#options.stream, {
        filter_subject: `${this.#options.prefix}.d.${partition}`,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: fromSeq,
        ack_policy: AckPolicy.None,
        inactive_threshold: nanos(60_000),
        mem_storage: true,
        num_replicas: 1,
      });
      const pull = stream.consumers.getConsumerFromInfo(consumer);
      const messages = await pull.consume({
        max_bytes: CONSUME_BYTES,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
      });
      await deliver(messages, onMessage, signal);
    });
  }

  async close(): Promise<void> {
    const open = await this.#opening?.catch(() => undefined);
    await open?.connection.close();
  }

  async #store(subject: string, bytes: Uint8Array, id?: string): Promise<StoreResult> {
    try {
      return await this.#try(async ({ stream }) => {
        const { seq, duplicate } = await stream.publish(subject, bytes, {
          ...(id === undefined ? {} : { msgID: id }),
          timeout: REQUEST_TIMEOUT_MS,
          expect: { streamName: this.#options.stream },
        });
        return { kind: "stored", seq, isRepeat: duplicate };
      });
    } catch (error) {
      if (!isBusError(error)) throw error;
      return { kind: "retry", message: error.message };
    }
  }

  async #getLast(subject: string): Promise<LastMessage> {
    const found = await this.#getMessage({ last_by_subj: subject });
    return found ? { seq: found.seq, bytes: found.data } : undefined;
  }

  async #getMessage(query: MsgRequest): Promise<StoredMsg | null> {
    return await this.#try(async ({ manager }) => await manager.streams.getMessage(this.#options.stream, query));
  }

  async #findStream(manager: JetStreamManager): Promise<StreamInfo> {
    const { stream, prefix, replicas, maxAgeMs, maxBytes, partitions, shards } = this.#options;
    try {
      return await manager.streams.info(stream);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== NO_STREAM) throw error;
    }
    this.#logger.info({ stream, replicas }, "creating stream");
    return await manager.streams.add({
      name: stream,
      subjects: [`${prefix}.>`],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      num_replicas: replicas,
      max_age: nanos(maxAgeMs),
      max_bytes: maxBytes,
      duplicate_window: nanos(Math.min(120_000, maxAgeMs)),
      metadata: { [PARTITIONS]: String(partitions), [SHARDS]: String(shards) },
    });
  }

  /** Runs one request; every failure becomes a BusError that says what to do. */
  async #try<T>(request: (open: Open) => Promise<T>): Promise<T> {
    try {
      this.#opening ??= this.#connect();
      const result = await request(await this.#opening);
      this.problem = undefined;
      return result;
    } catch (error) {
      const known = isBusError(error)
        ? error
        : explain(error, { ...this.#options, usesTls: this.#usesTls, credentials: this.#credentials });
      this.problem = known.message;
      throw known;
    }
  }

  async #connect(): Promise<Open> {
    const { url, name, readSecret, nowMs } = this.#options;
    try {
      const secret = await readSecret();
      const secured = toTls(url, secret, nowMs());
      this.#credentials = listCredentials(secret);
      this.#usesTls = secured !== undefined;
      const connection = await connect({
        servers: url.split(",").map((one) => one.trim()),
        name,
        timeout: CONNECT_TIMEOUT_MS,
        maxReconnectAttempts: -1,
        pingInterval: PING_MS,
        ...toCredentials(secret),
        ...(secured && { tls: secured }),
      });
      void connection.closed().then(() => {
        this.#opening = undefined;
      });
      void this.#countConnections(connection);
      return await openJetStream(connection);
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async #countConnections(connection: NatsConnection): Promise<void> {
    this.connections++;
    for await (const { type } of connection.status()) if (type === "reconnect") this.connections++;
  }
}

/** Closes the connection to a server that lacks required features. */
async function openJetStream(connection: NatsConnection): Promise<Open> {
  try {
    checkServer(connection);
    const options = { timeout: REQUEST_TIMEOUT_MS };
    const manager = await jetstreamManager(connection, options);
    return { connection, manager, stream: jetstream(connection, options) };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function toFacts({ created, config, state }: StreamInfo): StreamFacts {
  const epoch = config.metadata?.[EPOCH] ?? "";
  const id = `stream-${stableHash(`${config.name}\u001f${created}\u001f${epoch}`, 16)}`;
  const startSeq = Number(/\/(\d+)$/.exec(epoch)?.[1] ?? 0);
  return { id, createdMs: Date.parse(created), startSeq, firstSeq: state.first_seq, lastSeq: state.last_seq };
}
