// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation within a report's counters. Invariant: the object stays the same as long as the violation is held.

import type { Outcome } from "../../api/v1alpha1.ts";
import type { CellCounter, CellOwner } from "../../ingest/cells/cell-owner.ts";
import type { KeptEvidence } from "../../ingest/evidence/evidence.ts";
import { NO_RULE, type RuleFacts } from "../../ingest/violation/rule.ts";
import { type Identity, parseIdentityKey, violationId } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";
import { mergeInto, selectNewerRule, type Tally } from "../counts/tally.ts";
import type { PackedEntries, Stored } from "./packed-entries.ts";

/** Sweep of what this process has not written. */
export const NO_SWEEP = -(2 ** 30);

/** Hooks of the report that a violation belongs to. */
export interface CountingReport {
  readonly pending: CellCounter;
  /** Sets of counts taken so far: counts that were pending before the last take are in flight. */
  readonly taken: number;
  /** Evicts the lowest ranked of a group, for lack of memory at `us`; returns the number, at most `count`. */
  evict(group: EntryGroup, count: number, us: EpochUs): number;
}

/** Violations of one workload in one report. */
export interface EntryGroup {
  /** As workloadKey makes it. */
  readonly workload: string;
  readonly report: CountingReport;
  readonly packed: PackedEntries;
  /** Returns some of its entries, others with each call where there are more than `maxVisits`. */
  visit(maxVisits: number, getCost: (entry: Entry) => number): Entry[];
}

interface Unpacked {
  readonly key: string;
  readonly id: string;
  /** Absent where it was packed before, until it is asked for. */
  identity?: Identity;
  committed: Tally | undefined;
  inFlight: Tally | undefined;
  pending: Tally | undefined;
  /** Sets that the report had taken when the pending counts began. */
  pendingSince: number;
  writtenInSweep: number;
}

const NOTHING_OPEN = { inFlight: undefined, pending: undefined, pendingSince: 0 };

class Listed {
  /** In its group. */
  position = 0;
  /** Among those with a tally of pending counts. */
  pendingPosition = 0;
  /** Among those that the journal has yet to write. */
  notedPosition = 0;
}

/** One violation of the report. Without counts in flight or pending in a tally it is packed: there are many of them. */
export class Entry extends Listed implements CellOwner {
  readonly outcome: Outcome;
  /** True when occurrences from before may be among those that are counted without a violation. */
  lowerBound: boolean;
  /** The first of the cells that count for it; 0 for none. */
  firstCell = 0;
  #group: EntryGroup | undefined;
  #unpacked: Unpacked | undefined;
  /** In the group's memory, where it is packed. */
  #place = -1;
  /** Evidence of the packed counts. */
  #latest: KeptEvidence | undefined;

  /** A violation without counts yet; `key` is derived from the identity, `id` from the key. */
  constructor(key: string, identity: Identity, lowerBound: boolean, id: string = violationId(key)) {
    super();
    this.outcome = identity.outcome;
    this.lowerBound = lowerBound;
    this.#group = undefined;
    this.#latest = undefined;
    this.#unpacked = { key, id, identity, committed: undefined, ...NOTHING_OPEN, writtenInSweep: NO_SWEEP };
  }

  /** Undefined where the entry is in no map. */
  get group(): EntryGroup | undefined {
    return this.#group;
  }

  /** Leaves the memory of the group before. */
  set group(group: EntryGroup | undefined) {
    const unpacked = this.#unpack();
    this.#group = group;
    unpacked.pendingSince = group?.report.taken ?? 0;
  }

  get key(): string {
    return this.#unpacked?.key ?? this.#memory.readKey(this.#place);
  }

  get id(): string {
    return this.#unpacked?.id ?? this.#memory.readId(this.#place);
  }

  get identity(): Identity {
    const unpacked = this.#unpacked;
    if (!unpacked) return parseIdentityKey(this.key);
    unpacked.identity ??= parseIdentityKey(unpacked.key);
    return unpacked.identity;
  }

  /** Counts in the stored report; of a packed violation a copy. */
  get committed(): Tally | undefined {
    if (this.#unpacked) return this.#unpacked.committed;
    const { committed } = this.#memory.read(this.#place);
    return committed && { ...committed, latest: this.#latest };
  }

  set committed(tally: Tally | undefined) {
    this.#unpack().committed = tally;
  }

  get inFlight(): Tally | undefined {
    return this.#moveTaken()?.inFlight;
  }

  set inFlight(tally: Tally | undefined) {
    if (this.#unpacked || tally) this.#unpack().inFlight = tally;
  }

  get pending(): Tally | undefined {
    return this.#moveTaken()?.pending;
  }

  set pending(tally: Tally | undefined) {
    if (!this.#unpacked && !tally) return;
    const unpacked = this.#unpack();
    unpacked.pending = tally;
    unpacked.pendingSince = this.#group?.report.taken ?? 0;
  }

  /** Parts of the committed counts that many entries are asked for; undefined without such counts. */
  get stored(): Stored | undefined {
    if (!this.#unpacked) return this.#memory.readStored(this.#place, this.#latest);
    const { committed, writtenInSweep } = this.#unpacked;
    if (!committed) return undefined;
    const { occurrences, lastUs, rule, latest } = committed;
    return { occurrences, lastUs, rule, latest, writtenInSweep };
  }

  get counter(): CellCounter | undefined {
    return this.#group?.report.pending;
  }

  /** Commits the in-flight counts, before retention sweep `sweep`. */
  commit(sweep: number): void {
    const unpacked = this.#unpack();
    const { committed, inFlight } = unpacked;
    if (inFlight) unpacked.committed = committed ? mergeInto(committed, inFlight) : inFlight;
    unpacked.inFlight = undefined;
    unpacked.writtenInSweep = sweep;
  }

  /** Packs it where it is in a map and has no other counts than committed; returns an estimate of the memory that it takes. */
  pack(): number {
    const unpacked = this.#moveTaken();
    if (this.#group && unpacked) this.#pack(this.#group, unpacked);
    if (this.#unpacked) return weighUnpacked(this.#unpacked);
    return PACKED_BYTES + this.#memory.getSize(this.#place) + (this.#latest?.weight ?? 0);
  }

  /** Moves in flight the counts that were pending before the last take, which visits no entry; returns them where unpacked. */
  #moveTaken(): Unpacked | undefined {
    const unpacked = this.#unpacked;
    if (unpacked?.pending && this.#group && unpacked.pendingSince !== this.#group.report.taken) {
      unpacked.inFlight = unpacked.pending;
      unpacked.pending = undefined;
    }
    return unpacked;
  }

  #pack({ packed }: EntryGroup, { inFlight, pending, ...rest }: Unpacked): void {
    if (inFlight || pending) return;
    const place = packed.write(rest);
    if (place < 0) return;
    this.#place = place;
    this.#latest = rest.committed?.latest;
    this.#unpacked = undefined;
  }

  #unpack(): Unpacked {
    const unpacked = this.#moveTaken();
    if (unpacked) return unpacked;
    const { committed, ...rest } = this.#memory.read(this.#place);
    this.#memory.release(this.#place);
    const latest = this.#latest;
    this.#unpacked = { ...rest, committed: committed && { ...committed, latest }, ...NOTHING_OPEN };
    this.#place = -1;
    this.#latest = undefined;
    return this.#unpacked;
  }

  get #memory(): PackedEntries {
    return (this.#group as EntryGroup).packed;
  }
}

/** Returns true for an entry that a report written now would count. */
export function isWritten(entry: Entry | undefined): boolean {
  return (entry?.stored ?? entry?.inFlight) !== undefined;
}

export function moveCounts(from: Entry, to: Entry): void {
  const sweeps = [from, to].map(({ stored }) => stored?.writtenInSweep ?? NO_SWEEP);
  const merge = (own: Tally | undefined, more: Tally | undefined) =>
    own && more ? mergeInto(own, more) : (own ?? more);
  to.lowerBound ||= from.lowerBound;
  to.committed = merge(to.committed, from.committed);
  to.pending = merge(to.pending, from.pending);
  to.commit(Math.max(...sweeps));
  from.committed = undefined;
  from.pending = undefined;
}

export function countAll({ stored, inFlight, pending }: Entry): number {
  return (stored?.occurrences ?? 0) + (inFlight?.occurrences ?? 0) + (pending?.occurrences ?? 0);
}

/** Returns the rule that the newest alert matched, of those that a report written now would count. */
export function getWrittenRule({ stored, inFlight }: Entry): RuleFacts {
  if (!stored || !inFlight) return (stored ?? inFlight)?.rule ?? NO_RULE;
  return selectNewerRule(stored, inFlight.rule, inFlight.lastUs);
}

export function getSeverity({ stored, inFlight, pending }: Entry): number {
  return Math.max(...[stored, inFlight, pending].map((each) => each?.rule.severity ?? 0));
}

export function leaveEvidence({ stored, inFlight, pending }: Entry): void {
  for (const each of [stored, inFlight, pending]) each?.latest?.leave();
}

// Measured on Node 24: a test compares the estimate with the heap.
const PACKED_BYTES = 230;
const UNPACKED_BYTES = 400;
const TALLY_BYTES = 180;
const ONLY_POD_BYTES = 150;
const PODS_BYTES = 200;
const POD_BYTES = 150;

function weighUnpacked({ key, committed, inFlight, pending }: Unpacked): number {
  let bytes = UNPACKED_BYTES + key.length;
  for (const tally of [committed, inFlight, pending]) if (tally) bytes += weighTally(tally);
  return bytes;
}

function weighTally({ pods, latest }: Tally): number {
  const { size } = pods;
  const ofPods = size === 0 ? 0 : size === 1 ? ONLY_POD_BYTES : PODS_BYTES + size * POD_BYTES;
  return TALLY_BYTES + ofPods + (latest?.weight ?? 0);
}
