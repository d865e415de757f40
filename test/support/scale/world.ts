// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers, owners, a stream and a store in memory, with a clock that moves only by command. Every alert is a violation of
// its own, so that each one can be found in the reports, or found missing.

import { MAX_COVERAGE_GAPS } from "../../../src/aggregate/counts/coverage-gap.ts";
import type { AlertListener } from "../../../src/alerts/alert-source.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { waitForAbort } from "../../../src/lib/clock.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { formatMicroTime, parseMicroTime } from "../../../src/lib/time.ts";
import type { HeldPart } from "../../../src/scale/leases/lease-group.ts";
import { pickIndex } from "../../../src/scale/leases/rendezvous.ts";
import { Owners } from "../../../src/scale/owner/owners.ts";
import { Reader, type ShardSource } from "../../../src/scale/reader/reader.ts";
import { FakeClock } from "../fake-clock.ts";
import { alert, LIMITS, MEMORY, SEVERITY, toLetters } from "../gen.ts";
import { MemorySink } from "../memory-sink.ts";
import { MemoryBus, MemoryStream } from "./memory-bus.ts";
import { ProcessSink } from "./process-sink.ts";

export const SHARDS = 3;
export const PARTITIONS = 3;
const NODES = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];
const POLICIES = ["one", "two", "three", "four"];
const NAMESPACES = ["shop"];

interface Raised {
  resource: string;
  namespace: string;
  policy: string;
  us: number;
}

interface Source extends ShardSource {
  shard: number;
  isCut: boolean;
  process: ReaderProcess;
  listener?: AlertListener | undefined;
}

interface Lease {
  stop: AbortController;
  lost: AbortController;
  isHeld: boolean;
  done: Promise<void>;
  regained: () => void;
}

export interface ReaderProcess {
  reader: Reader;
  bus: MemoryBus;
  end: AbortController;
  leases: Map<number, Lease>;
}

export interface OwnerProcess {
  owners: Owners;
  bus: MemoryBus;
  sink: ProcessSink;
  leases: Map<number, Lease>;
}

export class ScaleWorld {
  readonly clock: FakeClock;
  readonly stream = new MemoryStream();
  readonly sink = new MemorySink();
  readonly readers = new Set<ReaderProcess>();
  readonly owners = new Set<OwnerProcess>();
  readonly raised: Raised[] = [];
  isApiAway = false;
  /** Namespaces in which alerts are raised. */
  namespaces: readonly string[] = NAMESPACES;
  /** The longest time from an alert on its node to the reader. */
  maxDelayMs = 0;
  /** Share of writes without an answer. */
  unknownWrites = 0;
  readonly #sources = new Set<Source>();
  /** The part that is being given. */
  #next = 0;
  readonly #storedUntil = new Map<number, number>();
  #alerts = 0;
  #processes = 0;

  constructor(seed = 1) {
    this.clock = new FakeClock(undefined, seed);
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
        createSource: () => this.#createSource(process),
      },
    );
    const process: ReaderProcess = { reader, bus, end: new AbortController(), leases: new Map() };
    this.readers.add(process);
    void reader.run(process.end.signal);
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
    const process = { owners, bus, sink, leases: new Map<number, Lease>() };
    this.owners.add(process);
    return process;
  }

  giveShard(index: number, { reader, leases }: ReaderProcess): void {
    const storedUntilMs = this.#storedUntil.get(index);
    const predecessor =
      storedUntilMs === undefined
        ? undefined
        : { holder: "", isSelf: false, persistedUntilMs: storedUntilMs, persistedHereMs: undefined };
    leases.set(
      index,
      this.#hold(index, predecessor, (part) => this.#holdShard(index, reader, part)),
    );
  }

  givePartition(index: number, { owners, leases }: OwnerProcess): void {
    leases.set(
      index,
      this.#hold(index, undefined, (part) => owners.hold(part)),
    );
  }

  /** Gives up a part in order. */
  async release(process: ReaderProcess | OwnerProcess, index: number): Promise<void> {
    const lease = process.leases.get(index);
    if (!lease) return;
    process.leases.delete(index);
    lease.stop.abort();
    await this.runUntil(lease.done);
  }

  kill(process: ReaderProcess | OwnerProcess): void {
    process.bus.isDead = true;
    if ("reader" in process) {
      this.readers.delete(process);
      for (const source of [...this.#sources]) if (source.process === process) this.#sources.delete(source);
      return;
    }
    process.sink.isDead = true;
    this.owners.delete(process);
  }

  /** The Lease of a part is not renewed for a while, and no other process takes it. */
  skipRenewal(process: ReaderProcess, index: number): void {
    const lease = process.leases.get(index);
    if (!lease) return;
    lease.isHeld = false;
    lease.lost.abort();
  }

  /** The nodes of a shard are not read, until `reconnect`. */
  cut(shard: number): void {
    for (const source of this.#sources) {
      if (source.shard !== shard) continue;
      source.isCut = true;
      const nowMs = this.clock.nowMs();
      const { desired: nodes } = source.nodes;
      source.nodes.connected = 0;
      source.listener?.onDisconnected({
        lastReadMs: nowMs - 1000,
        atMs: nowMs,
        reason: "node_down",
        message: "cut",
        nodes,
      });
    }
  }

  reconnect(shard: number): void {
    for (const source of this.#sources) {
      if (source.shard !== shard || !source.isCut) continue;
      source.isCut = false;
      source.nodes.connected = source.nodes.desired;
      source.listener?.onConnected({ nodes: source.nodes.desired });
    }
  }

  regain(process: ReaderProcess, index: number): void {
    process.leases.get(index)?.regained();
  }

  /** An alert on a node, received by every reader that reads it now. */
  raise(count = 1): void {
    for (let i = 0; i < count; i++) {
      const node = NODES[this.#alerts % NODES.length] as string;
      const policy = POLICIES[Math.floor(this.clock.random() * POLICIES.length)] as string;
      const namespace = this.namespaces[this.#alerts % this.namespaces.length] as string;
      const resource = `/opt/tool-${toLetters(this.#alerts++)}`;
      const us = Math.round(this.clock.nowMs() * 1000);
      this.raised.push({ resource, namespace, policy, us });
      const fields = {
        HostName: node,
        NamespaceName: namespace,
        PolicyName: policy,
        UpdatedTime: formatMicroTime(us),
        Resource: resource,
      };
      const received = alert(fields, { ProcessName: resource });
      const deliver = () => {
        for (const { shard, isCut, listener } of this.#sources)
          if (shard === pickIndex(node, SHARDS) && !isCut) listener?.onAlert(received, 0);
      };
      if (this.maxDelayMs === 0) deliver();
      else this.clock.after(Math.floor(this.clock.random() * this.maxDelayMs), deliver);
    }
  }

  /** Lets time pass, with alerts. */
  async run(ms: number, alertsPerSecond = 10): Promise<void> {
    for (let at = 0; at < ms; at += 100) {
      if (this.clock.random() < alertsPerSecond / 10) this.raise(Math.ceil(alertsPerSecond / 10));
      await this.clock.advance(100);
      for (const { reader, leases } of this.readers)
        for (const [index, { isHeld }] of leases) {
          const untilMs = isHeld ? reader.storedUntilMs(index) : undefined;
          if (untilMs !== undefined) this.#storedUntil.set(index, untilMs);
        }
    }
  }

  async runUntil(done: Promise<unknown>): Promise<void> {
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    for (let i = 0; i < 1000 && !isDone; i++) await this.clock.advance(50);
    if (!isDone) throw new Error("did not end within 50 s");
  }

  /** Faults of the reports: alerts counted twice, never raised, or missing without a declared gap. */
  findProblems(): string[] {
    const problems: string[] = [];
    const reports = this.sink.reports;
    const counted = new Map<string, number>();
    for (const { violations, summary, policy, coverage, metadata } of reports) {
      const listed = coverage.recent?.length ?? 0;
      // Owners of two partitions may declare one gap in a cluster report at the same moment.
      if (metadata.namespace !== undefined && listed < MAX_COVERAGE_GAPS && listed !== coverage.gaps)
        problems.push(`${policy.name}: ${coverage.gaps} gaps, ${listed} listed`);
      let sum = 0;
      for (const { resource = "", occurrences } of violations) {
        counted.set(resource, (counted.get(resource) ?? 0) + occurrences);
        sum += occurrences;
      }
      if (sum !== summary.occurrences) problems.push(`${policy.name}: ${summary.occurrences} in all, ${sum} listed`);
    }
    for (const { resource, namespace, policy, us } of this.raised) {
      const report = reports.find((one) => one.policy.name === policy && this.#isInScope(one, namespace));
      const times = counted.get(resource) ?? 0;
      if (times > 1) problems.push(`${resource} of ${policy} was counted ${times} times`);
      if (times === 0 && !isDeclared(report, us) && !this.#wasDeleted(resource, namespace))
        problems.push(`${resource} of ${policy} at ${formatMicroTime(us)} is missing, and no gap says so`);
      counted.delete(resource);
    }
    for (const resource of counted.keys()) problems.push(`${resource} was never raised`);
    return problems;
  }

  /** Alerts of a namespace that is gone are in the cluster report of their policy. */
  #isInScope({ metadata }: Report, namespace: string): boolean {
    return metadata.namespace === (this.sink.goneNamespaces.has(namespace) ? undefined : namespace);
  }

  /** True where a report held it that went with its namespace. */
  #wasDeleted(resource: string, namespace: string): boolean {
    if (!this.sink.goneNamespaces.has(namespace)) return false;
    return this.sink.history.some(
      ({ report }) =>
        report.metadata.namespace === namespace &&
        report.violations.some((violation) => violation.resource === resource),
    );
  }

  get missing(): number {
    return this.raised.length - this.sink.occurrences;
  }

  async #holdShard(index: number, reader: Reader, part: HeldPart): Promise<void> {
    await reader.hold(part);
    const untilMs = reader.storedUntilMs(index);
    if (untilMs !== undefined) this.#storedUntil.set(index, untilMs);
  }

  #hold(index: number, predecessor: HeldPart["predecessor"], work: (part: HeldPart) => Promise<void>): Lease {
    const lease: Lease = {
      stop: new AbortController(),
      lost: new AbortController(),
      isHeld: true,
      done: Promise.resolve(),
      regained: () => {},
    };
    this.#next = index;
    lease.done = work({
      index,
      predecessor,
      lost: lease.lost.signal,
      stop: lease.stop.signal,
      isHeld: () => lease.isHeld,
      regain: () =>
        new Promise((resolve) => {
          lease.stop.signal.addEventListener("abort", () => resolve(undefined), { once: true });
          lease.regained = () => {
            lease.isHeld = true;
            lease.lost = new AbortController();
            resolve(lease.lost.signal);
          };
        }),
    });
    return lease;
  }

  #createSource(process: ReaderProcess): Source {
    const shard = this.#next;
    const nodes = { desired: NODES.filter((node) => pickIndex(node, SHARDS) === shard).length, connected: 0 };
    const source: Source = {
      shard,
      isCut: false,
      process,
      nodes,
      run: async (listener, signal) => {
        await this.clock.sleep(150, signal);
        if (!signal.aborted) {
          nodes.connected = nodes.desired;
          listener.onConnected();
          // As KubeArmor, which registers a client a moment after it has answered.
          await this.clock.sleep(300, signal);
          source.listener = listener;
          await waitForAbort(signal);
        }
        this.#sources.delete(source);
      },
    };
    this.#sources.add(source);
    return source;
  }
}

function isDeclared(report: Report | undefined, us: number): boolean {
  const { recent = [], gaps = 0 } = report?.coverage ?? {};
  const listed = recent.map(({ from, to }) => ({
    fromUs: parseMicroTime(from) ?? 0,
    toUs: parseMicroTime(to ?? "") ?? Number.POSITIVE_INFINITY,
  }));
  if (listed.some(({ fromUs, toUs }) => fromUs <= us && us <= toUs)) return true;
  // Older ones are counted, and not listed any more.
  return gaps > MAX_COVERAGE_GAPS && listed.every(({ fromUs }) => us < fromUs);
}
