// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One report in memory. Its counts are committed (in the stored report), in flight (in a write without a result yet) or
// pending (in no report yet). Invariant: every counted alert is in exactly one of the three; merge makes their order
// irrelevant.

import type { Occurrence } from "../../ingest/occurrence.ts";
import { reportName } from "../../ingest/violation/report-name.ts";
import type { ViolationFacts } from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import { KnownPolicy } from "../counts/known-policy.ts";
import { mergeExpired } from "../counts/totals.ts";
import { Unidentified } from "../counts/unidentified.ts";
import type { Entry } from "../entries/entry.ts";
import type { EntryMap } from "../entries/entry-map.ts";
import { MemoryUsage } from "../entries/memory-usage.ts";
import { SubjectCounts } from "./distinct-subjects.ts";
import { LedgerCounts } from "./ledger-counts.ts";
import type { LedgerParts } from "./ledger-parts.ts";
import { LedgerTransfer } from "./ledger-transfer.ts";
import { LedgerWrite } from "./ledger-write.ts";
import { OpenGaps } from "./open-gaps.ts";
import { ReportAge } from "./report-age.ts";
import { type Eviction, ReportEntries } from "./report-entries.ts";
import { SetSequence } from "./set-sequence.ts";

export class Ledger {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly name: string;
  readonly policy = new KnownPolicy();
  readonly gaps: OpenGaps;
  /** Distinct workloads, pods and nodes of the report's alerts. */
  readonly subjects: SubjectCounts;
  readonly counts: LedgerCounts;
  readonly sets: SetSequence;
  readonly write: LedgerWrite;
  readonly transfer: LedgerTransfer;
  readonly #entries: ReportEntries;
  readonly #unidentified = new Unidentified();
  readonly #age = new ReportAge();

  constructor(namespace: string | undefined, policyName: string, parts: LedgerParts = {}) {
    const { meter = new MemoryUsage(), onCounting = () => {}, log } = parts;
    const unidentified = this.#unidentified;
    const entries = new ReportEntries({
      ...{ meter, unidentified, policy: this.policy, log },
      onCounting: (...counting) => {
        this.subjects.seeCounting(...counting);
        onCounting();
      },
      onEvicted: (eviction) => this.#recordEviction(eviction),
    });
    this.namespace = namespace;
    this.policyName = policyName;
    this.name = reportName(policyName);
    this.gaps = new OpenGaps(entries.pending, parts);
    this.subjects = new SubjectCounts(namespace, (bytes) => meter.addOther(bytes));
    this.counts = new LedgerCounts(entries, unidentified);
    this.sets = new SetSequence(parts, entries, this.counts);
    this.#entries = entries;
    const { policy, gaps, subjects, counts, sets } = this;
    const state = { policy, gaps, subjects, counts, sets, entries, unidentified, age: this.#age };
    this.write = new LedgerWrite(state);
    this.transfer = new LedgerTransfer(state, this.write);
  }

  get entries(): EntryMap {
    return this.#entries.map;
  }

  /** Counts one alert and returns its entry; `identify: false` (the memory bound is reached) counts it in totals only. */
  add(occurrence: Occurrence, identify: boolean): Entry | undefined {
    const { violation } = occurrence;
    this.subjects.see(violation);
    const entry = identify ? this.#entries.obtain(violation) : this.entries.get(violation.key);
    this.#entries.pending.add(occurrence, entry);
    if (entry) return entry;
    this.#unidentified.pending++;
    this.gaps.addWithoutDetails(occurrence.timeUs, 1);
    return undefined;
  }

  /** Has a cell count for a violation from now on; returns its counter. */
  countFor(violation: ViolationFacts): Entry {
    this.subjects.see(violation);
    return this.#entries.obtain(violation);
  }

  /**
   * Removes violations last seen before `beforeUs` and not written within `keptSweeps`; returns their number. A report that
   * was stored later keeps all: its alerts may be from a node with a clock that is behind.
   */
  *expire(beforeUs: EpochUs, keptSweeps = 0): Steps<number> {
    const keptSweep = this.#age.begin(keptSweeps);
    if (this.#age.createdUs >= beforeUs) return 0;
    this.counts.violationsFloor = this.counts.violations;
    const { pending } = this.#entries;
    let gone = 0;
    yield* this.#entries.forget({ beforeUs, keptSweep }, (expired) => {
      gone += expired.violations;
      pending.totals.expired = mergeExpired(pending.totals.expired, expired);
    });
    this.policy.expireSeverity(beforeUs);
    this.#age.end(this.counts.committed, beforeUs, keptSweep);
    if (this.isOver || gone > 0) this.write.touch();
    return gone;
  }

  /** True when all of the stored report is older than the retention, and no alert came since. */
  get isOver(): boolean {
    return this.#age.isOver && this.counts.unwritten === 0 && !this.write.isInFlight;
  }

  #recordEviction({ occurrences, known, us }: Eviction): void {
    this.gaps.addWithoutDetails(us, occurrences);
    const { counts } = this;
    counts.violationsFloor = Math.max(counts.violationsFloor, known + counts.written.expired.violations);
  }
}
