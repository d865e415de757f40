// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers, owners, a stream and a store in memory, with a clock that moves only by command.

import { silentLogger } from "../../../src/lib/logger.ts";
import type { HeldPart } from "../../../src/scale/leases/lease-group.ts";
import { Owners } from "../../../src/scale/owner/owners.ts";
import { Reader } from "../../../src/scale/reader/reader.ts";
import { FakeClock } from "../fake-clock.ts";
import { LIMITS, MEMORY, SEVERITY } from "../gen.ts";
import { MemorySink } from "../memory-sink.ts";
import { MemoryBus, MemoryStream } from "./memory-bus.ts";
import { ProcessSink } from "./process-sink.ts";
import { findScaleProblems } from "./scale-problems.ts";
import { SimulatedLease } from "./simulated-lease.ts";
import { SimulatedNodes } from "./simulated-nodes.ts";

export const SHARDS = 3;
export const PARTITIONS = 3;

export interface ReaderProcess {
  reader: Reader;
  bus: MemoryBus;
  leases: Map<number, SimulatedLease>;
}

export interface OwnerProcess {
  owners: Owners;
  bus: MemoryBus;
  sink: ProcessSink;
  leases: Map<number, SimulatedLease>;
}

export class ScaleWorld {
  readonly clock: FakeClock;
  readonly nodes: SimulatedNodes;
  readonly stream = new MemoryStream();
  readonly sink = new MemorySink();
  readonly readers = new Set<ReaderProcess>();
  readonly owners = new Set<OwnerProcess>();
  isApiAway = false;
  /** Share of writes without an answer. */
  unknownWrites = 0;
  /** The shard that is being given. */
  #next = 0;
  readonly #storedUntil = new Map<number, number>();
  #processes = 0;

  constructor(seed = 1) {
    this.clock = new FakeClock(undefined, seed);
    this.nodes = new SimulatedNodes(this.clock, SHARDS);
  }

  startReader(): ReaderProcess {
    const bus = new MemoryBus(this.stream, this.clock);
    const reader = new Reader(
      {
        shards: SHARDS,
        partitions: PARTITIONS,
        foldMs: 1000,
        graceMs: 5000,
        processId: `reader-${++this.#processes}`,
        memory: MEMORY,
        duplicates: { windowMs: 1000, maxEntries: 1000 },
        redaction: { patterns: [], names: [] },
      },
      {
        bus,
        clock: this.clock,
        logger: silentLogger,
        followNodes: async () => {},
        createSource: () => this.nodes.createSource(this.#next, process),
      },
    );
    const process: ReaderProcess = { reader, bus, leases: new Map() };
    this.readers.add(process);
    void reader.run(new AbortController().signal);
    return process;
  }

  /** Starts a reader that reads every shard. */
  startReaderOfAll(): ReaderProcess {
    const process = this.startReader();
    for (let shard = 0; shard < SHARDS; shard++) this.giveShard(shard, process);
    return process;
  }

  startOwner(): OwnerProcess {
    const bus = new MemoryBus(this.stream, this.clock);
    const sink = new ProcessSink(this.sink, this);
    this.#processes++;
    const owners = new Owners(
      PARTITIONS,
      {
        limits: { ...LIMITS, maxViolations: 1000, maxBytes: 1_048_576 },
        severity: SEVERITY,
        shards: SHARDS,
        pace: { firstWriteDelayMs: 200, minIntervalMs: 500, maxIntervalMs: 2000 },
        writesPerSecond: 20,
        writeBurst: 20,
        memory: MEMORY,
        retention: { retentionMs: 0, sweepMs: 3_600_000 },
        graceMs: 5000,
      },
      {
        bus,
        sink,
        clock: this.clock,
        logger: silentLogger,
        onResult: () => {},
        onWritten: () => {},
        onThrottled: () => {},
        onSkipped: () => {},
      },
    );
    const process: OwnerProcess = { owners, bus, sink, leases: new Map() };
    this.owners.add(process);
    return process;
  }

  /** Starts an owner of every partition. */
  startOwnerOfAll(): OwnerProcess {
    const process = this.startOwner();
    for (let partition = 0; partition < PARTITIONS; partition++) this.givePartition(partition, process);
    return process;
  }

  giveShard(index: number, { reader, leases }: ReaderProcess): void {
    const persistedUntilMs = this.#storedUntil.get(index);
    const predecessor =
      persistedUntilMs === undefined
        ? undefined
        : { holder: "", isSelf: false, persistedUntilMs, persistedHereMs: undefined, streamGaps: "" };
    this.#next = index;
    leases.set(index, new SimulatedLease(index, predecessor, (part) => this.#holdShard(index, reader, part)));
  }

  givePartition(index: number, { owners, leases }: OwnerProcess): void {
    leases.set(index, new SimulatedLease(index, undefined, (part) => owners.hold(part)));
  }

  /** Gives up a part in order. */
  async release(process: ReaderProcess | OwnerProcess, index: number): Promise<void> {
    const lease = process.leases.get(index);
    if (!lease) return;
    process.leases.delete(index);
    lease.stop.abort();
    let isDone = false;
    void lease.done.then(() => {
      isDone = true;
    });
    for (let i = 0; i < 1000 && !isDone; i++) await this.clock.advance(50);
    if (!isDone) throw new Error("did not end within 50 s");
  }

  kill(process: ReaderProcess | OwnerProcess | undefined): void {
    if (!process) return;
    process.bus.isDead = true;
    if ("reader" in process) {
      this.readers.delete(process);
      this.nodes.dropReader(process);
    } else {
      process.sink.isDead = true;
      this.owners.delete(process);
    }
  }

  /** Lets time pass, with alerts. */
  async run(ms: number, alertsPerSecond = 10): Promise<void> {
    for (let at = 0; at < ms; at += 100) {
      if (this.clock.random() < alertsPerSecond / 10) this.nodes.raise(Math.ceil(alertsPerSecond / 10));
      await this.clock.advance(100);
      for (const { reader, leases } of this.readers)
        for (const [index, { isHeld }] of leases) if (isHeld) this.#noteStored(index, reader);
    }
  }

  /** Alerts counted twice, never raised, or missing without a declared gap. */
  findProblems(): string[] {
    return findScaleProblems(this.sink, this.nodes.raised);
  }

  get missing(): number {
    return this.nodes.raised.length - this.sink.occurrences;
  }

  async #holdShard(index: number, reader: Reader, part: HeldPart): Promise<void> {
    await reader.hold(part);
    this.#noteStored(index, reader);
  }

  #noteStored(index: number, reader: Reader): void {
    const untilMs = reader.storedUntilMs(index);
    if (untilMs !== undefined) this.#storedUntil.set(index, untilMs);
  }
}
