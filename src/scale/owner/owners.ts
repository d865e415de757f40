// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The partitions that this process owns, and what concerns all of them.

import { MOVED_ANNOTATION } from "../../api/names.ts";
import type { Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { emptyBuffers, sumBuffers } from "../../lib/collections/buffer-use.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { Matched } from "../../report/acceptance-set.ts";
import { isNamedRight } from "../../report/parse.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";
import type { HeldPart } from "../leases/lease-group.ts";
import { pickIndex } from "../leases/rendezvous.ts";
import type { OwnerOptions, OwnerParts, PartitionLife, StoredReports } from "./owner-parts.ts";
import { PartitionOwner } from "./partition-owner.ts";
import { PartitionCounters } from "./partition-state.ts";

export class Owners {
  readonly counters = new PartitionCounters();
  /** Counters of lives that have ended. */
  readonly ended = { forgotten: 0, expired: 0, withoutDetails: 0, removed: 0, retries: 0, buffers: sumBuffers([]) };
  readonly #options: OwnerOptions;
  readonly #parts: OwnerParts;
  readonly #partitions: number;
  readonly #owners = new Map<number, PartitionOwner>();

  constructor(
    partitions: number,
    options: OwnerOptions,
    parts: Omit<OwnerParts, "listReports" | "onEnded" | "partitions">,
  ) {
    this.#partitions = partitions;
    this.#options = options;
    this.#parts = {
      ...parts,
      partitions,
      listReports: shareList(parts.sink, partitions),
      onEnded: (life) => this.#addEnded(life),
    };
  }

  /** Owns a partition until it is lost or stopped. */
  async hold(part: HeldPart): Promise<void> {
    const owner = new PartitionOwner(part.index, this.#options, this.#parts, this.counters);
    this.#owners.set(part.index, owner);
    await owner.run(part);
    this.#owners.delete(part.index);
  }

  /** Lives of the partitions that are loaded. */
  get lives() {
    return [...this.#owners.values()].flatMap(({ life }) => (life ? [life] : []));
  }

  /** First reason for which a partition is not written. */
  get problem(): string | undefined {
    return [...this.#owners.values()].map(({ problem }) => problem).find((problem) => problem !== undefined);
  }

  /** Time since which counts of a partition may be in no report, while its writes are refused or fail; rather too early. */
  pendingSinceMs(partition: number): number | undefined {
    const owner = this.#owners.get(partition);
    return owner?.life?.controller.isFailing ? owner.beganMs : undefined;
  }

  onAcceptancesChanged(namespace: string, policy: string): void {
    this.#findContext(namespace, policy)?.onAcceptancesChanged(namespace, policy);
  }

  onPoliciesChanged(names: ReadonlySet<string> | undefined): void {
    for (const { context } of this.lives) context.onPoliciesChanged(names);
  }

  /** Counts what each acceptance of a policy matches in its report; nothing in a report of another owner. */
  matchAcceptances(namespace: string, policy: string): Steps<ReadonlyMap<string, Matched>> {
    return this.#findContext(namespace, policy)?.matchAcceptances(namespace, policy) ?? matchNothing();
  }

  #addEnded({ aggregator, controller }: PartitionLife): void {
    this.ended.forgotten += aggregator.stats.evicted;
    this.ended.expired += aggregator.stats.expired;
    this.ended.withoutDetails += aggregator.stats.withoutDetails;
    this.ended.removed += controller.removed;
    this.ended.retries += controller.retries;
    this.ended.buffers = sumBuffers([this.ended.buffers, emptyBuffers(controller.buffers)]);
  }

  /** True where the report is of a partition that this process writes. */
  ownsReport(namespace: string, policy: string): boolean {
    const life = this.#findLife(namespace, policy);
    return life?.isWriting === true && life.isHeld();
  }

  #findContext(namespace: string, policy: string) {
    return this.#findLife(namespace, policy)?.context;
  }

  #findLife(namespace: string, policy: string) {
    return this.#owners.get(pickIndex(reportKey(namespace, policy), this.#partitions))?.life;
  }
}

// biome-ignore lint/correctness/useYield: there is no step
function* matchNothing(): Steps<ReadonlyMap<string, Matched>> {
  return new Map();
}

/** Partitions that begin while a list is read share it. It may be old: a write on an old version fails. */
function shareList(sink: ReportSink, partitions: number): OwnerParts["listReports"] {
  let listing: Promise<StoredReports> | undefined;
  const list = async (signal: AbortSignal) => {
    const byPartition = new Map<number, Report[]>();
    const withMoved: Report[] = [];
    for await (const report of sink.list(signal)) {
      if (!isNamedRight(report)) continue;
      if (report.metadata.annotations?.[MOVED_ANNOTATION] !== undefined) withMoved.push(report);
      const partition = pickIndex(reportKey(report.metadata.namespace, report.policy.name), partitions);
      const known = byPartition.get(partition);
      if (known) known.push(report);
      else byPartition.set(partition, [report]);
    }
    return { byPartition, withMoved };
  };
  return async () => {
    listing ??= list(new AbortController().signal).finally(() => {
      listing = undefined;
    });
    return await listing;
  };
}
