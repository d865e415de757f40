// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The AcceptedViolations of the cluster, by namespace and policy.
// Invariant: bounded. Which of too many are kept, and which of those have effect, depends on namespaces and names
// alone, never on the order of arrival; one namespace never takes the place of another that has fewer.

import { toObjectKey } from "../lib/object-key.ts";
import type { Acceptance } from "../report/acceptance-match.ts";
import { AcceptanceSet } from "../report/acceptance-set.ts";
import type { ReadAcceptance, RefusedAcceptance } from "./parse-acceptance.ts";

/** Acceptances of one policy in one namespace that have effect; the others have a condition that says so. */
export const MAX_PER_POLICY = 100;

export interface IndexLimits {
  /** Acceptances kept in all; beyond it the namespace with the most loses its last by name. Default 10,000. */
  max?: number;
  /** Acceptances kept per namespace: the first by name. Default 1,000. */
  maxPerNamespace?: number;
}

/** The acceptances of one policy in one namespace. */
interface Group {
  members: ReadAcceptance[];
  /** The first MAX_PER_POLICY. */
  effective: AcceptanceSet;
}

export class AcceptanceIndex {
  /** By namespace, then by name in order. */
  readonly #namespaces = new Map<string, ReadAcceptance[]>();
  readonly #groups = new Map<string, Group>();
  readonly #nowUs: () => number;
  readonly #max: number;
  readonly #maxPerNamespace: number;
  #size = 0;

  constructor(nowUs: () => number, { max = 10_000, maxPerNamespace = 1000 }: IndexLimits = {}) {
    this.#nowUs = nowUs;
    this.#max = max;
    this.#maxPerNamespace = maxPerNamespace;
  }

  get size(): number {
    return this.#size;
  }

  get({ namespace, name }: Place): ReadAcceptance | undefined {
    const all = this.#namespaces.get(namespace) ?? [];
    const found = all[getRank(all, name)];
    return found?.name === name ? found : undefined;
  }

  *values(): Iterable<ReadAcceptance> {
    for (const all of this.#namespaces.values()) yield* all;
  }

  /** Adds or replaces; returns those that had to leave, this one possibly among them. */
  put(read: ReadAcceptance): ReadAcceptance[] {
    this.remove(read);
    const all = this.#namespaces.get(read.namespace) ?? [];
    this.#namespaces.set(read.namespace, all);
    all.splice(getRank(all, read.name), 0, read);
    this.#size++;
    this.#join(read);
    const left: ReadAcceptance[] = [];
    if (all.length > this.#maxPerNamespace) left.push(...this.#dropLast(all));
    if (this.#size > this.#max) left.push(...this.#dropLast(this.#largest()));
    return left;
  }

  /** Removes and returns the acceptance of this name. */
  remove(place: Place): ReadAcceptance | undefined {
    const read = this.get(place);
    const all = this.#namespaces.get(place.namespace);
    if (!read || !all) return undefined;
    all.splice(getRank(all, read.name), 1);
    if (all.length === 0) this.#namespaces.delete(read.namespace);
    this.#size--;
    this.#leave(read);
    return read;
  }

  /** Those of a policy that have effect or had it until they expired; undefined where there are none. */
  effective(namespace: string, policy: string): AcceptanceSet | undefined {
    return this.#groups.get(toObjectKey({ namespace, name: policy }))?.effective;
  }

  /** All valid ones that name the policy, by name. */
  group(namespace: string, policy: string): readonly ReadAcceptance[] {
    return this.#groups.get(toObjectKey({ namespace, name: policy }))?.members ?? [];
  }

  /** Those of the policy of which one has effect only where the other has none. */
  boundary(read: ReadAcceptance): readonly ReadAcceptance[] {
    return this.#getGroup(read)?.members.slice(MAX_PER_POLICY - 1, MAX_PER_POLICY + 1) ?? [];
  }

  /** Reason for a valid acceptance without effect. */
  findRefusal(read: ReadAcceptance): RefusedAcceptance | undefined {
    const group = this.#getGroup(read);
    if (group === undefined || group.effective.has(read.name)) return undefined;
    const problem = `only the first ${MAX_PER_POLICY} by name of one policy and namespace have effect: make one of several`;
    return { problem, reason: "TooMany" };
  }

  #getGroup(read: ReadAcceptance): Group | undefined {
    return "problem" in read.effect ? undefined : this.#groups.get(toGroupKey(read.namespace, read.effect.acceptance));
  }

  #join(read: ReadAcceptance): void {
    if ("problem" in read.effect) return;
    const key = toGroupKey(read.namespace, read.effect.acceptance);
    const group = this.#groups.get(key) ?? { members: [], effective: new AcceptanceSet(this.#nowUs) };
    this.#groups.set(key, group);
    const { members, effective } = group;
    const rank = getRank(members, read.name);
    members.splice(rank, 0, read);
    if (rank >= MAX_PER_POLICY) return;
    const pushedOut = members[MAX_PER_POLICY];
    if (pushedOut) effective.remove(pushedOut.name);
    effective.put(read.effect.acceptance, read.effect.expiresUs);
  }

  #leave(read: ReadAcceptance): void {
    const group = this.#getGroup(read);
    if (!group || "problem" in read.effect) return;
    const { members, effective } = group;
    members.splice(getRank(members, read.name), 1);
    if (members.length === 0) {
      this.#groups.delete(toGroupKey(read.namespace, read.effect.acceptance));
      return;
    }
    if (!effective.has(read.name)) return;
    effective.remove(read.name);
    const next = members[MAX_PER_POLICY - 1]?.effect;
    if (next && "acceptance" in next) effective.put(next.acceptance, next.expiresUs);
  }

  #dropLast(all: readonly ReadAcceptance[]): ReadAcceptance[] {
    const last = all.at(-1);
    return last && this.remove(last) ? [last] : [];
  }

  /** The namespace with the most; of several the last by name. */
  #largest(): readonly ReadAcceptance[] {
    let largest: readonly ReadAcceptance[] = [];
    let of = "";
    for (const [namespace, all] of this.#namespaces) {
      if (all.length < largest.length || (all.length === largest.length && namespace < of)) continue;
      largest = all;
      of = namespace;
    }
    return largest;
  }
}

/** Position of an acceptance. */
export interface Place {
  namespace: string;
  name: string;
}

function toGroupKey(namespace: string, { policy }: Pick<Acceptance, "policy">): string {
  return toObjectKey({ namespace, name: policy });
}

/** Number of entries before this name in a list ordered by name. */
function getRank(sorted: readonly Place[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as Place).name < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
