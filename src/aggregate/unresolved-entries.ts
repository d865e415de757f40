// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations counted before the owner or the name of their container was known. Each unnamed container of a pod has
// entries of its own until then, so that its counts can join those of the name; a report shows them as one.
// Invariant: no count changes, only its violation does; the order in which alerts and names arrive has no effect.

import type { SubjectNames } from "../ingest/violation/subject-names.ts";
import {
  type Identity,
  identityKey,
  isUnresolvedKey,
  isUnresolvedKeyIn,
  podOfWorkload,
  podWorkloadKey,
  settledKey,
  settleIdentity,
  type ViolationFacts,
} from "../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../lib/pacing/steps.ts";
import { emptyTally, mergeInto } from "./counts/tally.ts";
import { Entry, isWritten } from "./entries/entry.ts";
import type { EntryMap } from "./entries/entry-map.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { LedgerMap } from "./ledger/ledger-map.ts";

/**
 * Entries of unnamed containers that one report keeps apart; of more, the oldest are joined for good. Init containers
 * never have a name.
 */
const MAX_UNRESOLVED = 100;

/** A move of counts takes about 15 µs, and allocates. */
const MOVES_PER_STEP = 64;

/**
 * Moves the counts of entries to the names that are known by now. Only between writes; between the steps alerts may be
 * added. Returns the number of entries that joined others.
 */
export function* resolveEntries(ledger: Ledger, names: SubjectNames): Steps<number> {
  const { entries, namespace } = ledger;
  if (namespace === undefined) return 0;
  let joined = 0;
  do {
    const unnamed = [...listUnnamed(entries, (pod) => names.hasOwner(namespace, pod))];
    joined += yield* renameInSteps(ledger, unnamed, (entry) => resolve(entry, namespace, names));
    const beyond = [...entries.unresolved].slice(0, -MAX_UNRESOLVED);
    joined += yield* renameInSteps(ledger, beyond, ({ identity }) => settleIdentity(identity));
    // A name may have become known between the steps.
  } while (hasResolvableEntries(ledger, names));
  return joined;
}

/** Returns true where resolveEntries would change the report. */
export function hasResolvableEntries({ entries, namespace }: Ledger, names: SubjectNames): boolean {
  if (namespace === undefined) return false;
  const isOwned = (pod: string) => names.hasOwner(namespace, pod);
  for (const entry of listUnnamed(entries, isOwned)) if (resolve(entry, namespace, names) !== undefined) return true;
  return false;
}

/** Returns undefined where nothing more is known of the entry. */
function resolve(entry: Entry, namespace: string, names: SubjectNames): Identity | undefined {
  const pod = podOfWorkload(entry.group?.workload ?? "");
  const isUnowned = pod !== undefined && names.hasOwner(namespace, pod);
  if (!isUnowned && !isUnresolvedKey(entry.key)) return undefined;
  const { identity } = entry;
  const resolved = names.resolveIdentity(namespace, identity);
  return resolved === identity ? undefined : resolved;
}

/**
 * Asks for a write of the reports in which entries of the pod lack its owner or the name of a container. Yields their
 * keys.
 */
export function* touchUnresolvedReports(
  ledgers: LedgerMap,
  { namespace, pod, node }: ViolationFacts,
): Iterable<string> {
  for (const [key, ledger] of ledgers.listOfNamespace(namespace)) {
    if (!ledger.subjects.concerns(pod, node) || !hasUnresolvedEntries(ledger, pod)) continue;
    ledger.write.touch();
    yield key;
  }
}

/** Looks at a bounded number of entries: those of more unnamed containers wait for a write anyway. */
function hasUnresolvedEntries({ entries }: Ledger, pod: string): boolean {
  if (entries.unresolved.size > MAX_UNRESOLVED || entries.getShare(podWorkloadKey(pod))) return true;
  for (const { key } of entries.unresolved) if (isUnresolvedKeyIn(key, pod)) return true;
  return false;
}

/** Entries whose workload is a pod with `hasPod`, or whose container has no name yet; no look at other workloads. */
function* listUnnamed(entries: EntryMap, hasPod: (pod: string) => boolean): IterableIterator<Entry> {
  const isOfPod = (workload: string | undefined) => {
    const pod = podOfWorkload(workload ?? "");
    return pod !== undefined && hasPod(pod);
  };
  for (const share of entries.podShares) if (isOfPod(share.workload)) yield* share.entries;
  for (const entry of entries.unresolved) if (!isOfPod(entry.group?.workload)) yield entry;
}

/** The violations that a report written now would list: unnamed containers are one there. */
export function* listWritten(entries: EntryMap): Steps<Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries.unresolved) if (isWritten(entry)) groups.set(settledKey(entry.key), []);
  const others: Entry[] = [];
  yield* visitInSteps(entries.values(), (entry) => {
    if (!isWritten(entry)) return;
    const group = groups.size === 0 ? undefined : groups.get(settledKey(entry.key));
    (group ?? others).push(entry);
  });
  return others.concat([...groups.values()].filter((group) => group.length > 0).map(joinEntries));
}

/** One entry with the written counts of all; they are left as they are. */
function joinEntries(entries: readonly Entry[]): Entry {
  const [first] = entries as [Entry];
  if (entries.length === 1) return first;
  const identity = settleIdentity(first.identity);
  const joined = new Entry(identityKey(identity), identity, false);
  joined.group = first.group;
  joined.committed = emptyTally();
  for (const { committed, inFlight, lowerBound } of entries) {
    joined.lowerBound ||= lowerBound;
    if (committed) mergeInto(joined.committed, committed);
    if (inFlight) mergeInto(joined.committed, inFlight);
  }
  return joined;
}

type ToIdentity = (entry: Entry) => Identity | undefined;

function* renameInSteps(ledger: Ledger, list: readonly Entry[], toIdentity: ToIdentity): Steps<number> {
  let joined = 0;
  for (let at = 0; at < list.length; at += MOVES_PER_STEP) {
    if (at > 0) yield;
    joined += renameAll(ledger, list.slice(at, at + MOVES_PER_STEP), toIdentity);
  }
  return joined;
}

/** Returns the number of entries that joined others. */
function renameAll(ledger: Ledger, list: readonly Entry[], toIdentity: ToIdentity): number {
  const { entries, counts } = ledger;
  const { size } = entries;
  const listable = list.some(isWritten) ? counts.listable : undefined;
  let isChanged = false;
  for (const entry of list) {
    // Others were evicted between the steps.
    const identity = entries.get(entry.key) === entry ? toIdentity(entry) : undefined;
    if (identity === undefined) continue;
    rename(ledger, entry, identity);
    isChanged = true;
  }
  if (!isChanged) return 0;
  if (listable !== undefined)
    counts.violationsFloor = Math.max(0, counts.violationsFloor - (listable - counts.listable));
  ledger.sets.resetLog();
  return size - entries.size;
}

function rename(ledger: Ledger, entry: Entry, identity: Identity): void {
  const { entries, subjects } = ledger;
  const workload = entry.group?.workload ?? "";
  const key = identityKey(identity);
  const to = entries.get(key) ?? entries.begin(key, identity, false);
  ledger.transfer.moveCounts(entry, to);
  entries.delete(entry.key);
  entries.updateBytes(to);
  if (!entries.getShare(workload)) subjects.workloads.move(workload, to.group?.workload ?? "");
}
