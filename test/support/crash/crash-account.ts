// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Every alert with its time and report, and what each killed life held and lost of them.
// Invariant: what is lost is reckoned from the node's own list alone, alert by alert; nothing is allowed for.

import { recoverSet } from "../../../src/aggregate/ledger/recovered-counts.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { parseMicroTime } from "../../../src/lib/time.ts";
import { findPersistedSeq } from "../../../src/reconcile/marks.ts";
import { restamp, type WireAlert } from "../../../tools/kubearmor-node/alerts.ts";
import type { FoundJournal } from "../journal-rows.ts";

/** Counts of one report in the API server and in the journal. */
interface Held {
  occurrences: number;
  lastUs: number;
}

export interface KilledLife {
  /** The alerts that the node offered to it, as numbers of the list. */
  first: number;
  end: number;
  /** Alerts that the node had sent before it, and by its end. */
  sentBefore: number;
  sent: number;
  /** Counts for certain before a batch of the journal. */
  counted: number;
  isStreamBroken: boolean;
  left: FoundJournal | undefined;
}

export class CrashAccount {
  readonly problems: string[] = [];
  /** Sum of what was lost: sent = written + lost. */
  lost = 0;
  /** Counts in reports and journal after the last kill. */
  held = 0;
  /** Lives in which the stream broke by itself; nothing is known of which alerts were lost then. */
  streamBreaks = 0;
  /** Times in microseconds since the epoch. */
  readonly #times: number[] = [];
  readonly #keys: string[] = [];
  #byReport = new Map<string, Held>();
  #sent = 0;
  #lives = 0;

  get alerts(): number {
    return this.#times.length;
  }

  /** Adds an alert with a time of its own. */
  stamp(alert: WireAlert, index: number): WireAlert {
    const us = Math.max((this.#times.at(-1) ?? 0) + 1, Math.floor((performance.timeOrigin + performance.now()) * 1000));
    this.#times.push(us);
    this.#keys.push(`${alert.NamespaceName}/${alert.PolicyName}`);
    return restamp(alert, us, 1000 + (index % 4_000_000));
  }

  /** Counts what was handed to the socket of a process that was already dead. */
  loseLate(sentBefore: number): void {
    this.lost += sentBefore - this.#sent;
  }

  /**
   * Compares after a kill: each report holds all alerts of this life up to the newest that it holds, and no other; and
   * what had been counted before a batch of the journal is held.
   */
  settle(life: KilledLife, reports: readonly Report[]): void {
    const name = `life ${++this.#lives}`;
    const byReport = countHeld(life.left, reports);
    const held = [...byReport.values()].reduce((sum, { occurrences }) => sum + occurrences, 0);
    const got = held - this.held;
    const given = life.sent - life.sentBefore;
    const lost = life.isStreamBroken ? given - got : this.#countLost(life, byReport, name);
    if (life.isStreamBroken) this.streamBreaks++;
    if (got + lost !== given) this.problems.push(`${name}: ${given} sent, ${got} held, ${lost} lost`);
    if (got < life.counted) this.problems.push(`${name}: ${life.counted} counted before a batch, ${got} held`);
    this.loseLate(life.sentBefore);
    this.lost += lost;
    this.held = held;
    this.#sent = life.sent;
    this.#byReport = byReport;
  }

  #countLost({ first, end, sent, sentBefore }: KilledLife, byReport: Map<string, Held>, name: string): number {
    let lost = 0;
    const due = new Map<string, number>();
    for (let i = first; i < end; i++) {
      const key = this.#keys[i] as string;
      const isHeld = (this.#times[i] as number) <= (byReport.get(key)?.lastUs ?? 0);
      if (isHeld) due.set(key, (due.get(key) ?? 0) + 1);
      else if (i < first + sent - sentBefore) lost++;
    }
    for (const [key, { occurrences }] of byReport) {
      const more = occurrences - (this.#byReport.get(key)?.occurrences ?? 0);
      if (more === (due.get(key) ?? 0)) continue;
      this.problems.push(`${name}: ${key} holds ${more}, sent up to its newest: ${due.get(key) ?? 0}`);
    }
    return lost;
  }
}

/** Counts in the reports, and in the journal beyond them. */
function countHeld(left: FoundJournal | undefined, reports: readonly Report[]): Map<string, Held> {
  const held = new Map<string, Held>();
  const add = (key: string, occurrences: number, lastUs: number) => {
    const before = held.get(key) ?? { occurrences: 0, lastUs: 0 };
    held.set(key, { occurrences: before.occurrences + occurrences, lastUs: Math.max(before.lastUs, lastUs) });
  };
  const toKey = (namespace: string | undefined, policyName: string) => `${namespace ?? ""}/${policyName}`;
  for (const { metadata, policy, summary } of reports) {
    add(toKey(metadata.namespace, policy.name), summary.occurrences, parseMicroTime(summary.lastSeen) ?? 0);
  }
  for (const { namespace, policyName, layers } of left?.reports ?? []) {
    const stored = reports.find((r) => r.metadata.namespace === namespace && r.policy.name === policyName);
    const persistedSeq = findPersistedSeq(stored?.metadata, left?.writerId ?? "");
    for (const layer of layers) {
      const { totals } = runAtOnce(recoverSet(layer));
      if (layer.seq > persistedSeq) add(toKey(namespace, policyName), totals.occurrences, totals.lastUs);
    }
  }
  return held;
}
