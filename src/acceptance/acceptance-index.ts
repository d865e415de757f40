// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The AcceptedViolations that there are, by namespace and policy.
// Invariant: bounded; which of too many have effect depends on their names alone, not on the order in which they came.

import type { ReadAcceptance } from "./parse-acceptance.ts";

/** Of one policy in one namespace, those that have effect; the others say so. */
export const MAX_PER_POLICY = 100;

export class AcceptanceIndex {
  readonly #all = new Map<string, ReadAcceptance>();
  readonly #groups = new Map<string, ReadAcceptance[]>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#all.size;
  }

  get(key: string): ReadAcceptance | undefined {
    return this.#all.get(key);
  }

  values(): Iterable<ReadAcceptance> {
    return this.#all.values();
  }

  /** Returns false where there is no room for it. */
  put(read: ReadAcceptance): boolean {
    const key = keyOf(read);
    if (!this.#all.has(key) && this.#all.size >= this.#max) return false;
    this.remove(key);
    this.#all.set(key, read);
    const group = groupOf(read);
    if (group === undefined) return true;
    const members = [...(this.#groups.get(group) ?? []), read];
    this.#groups.set(
      group,
      members.sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
    return true;
  }

  remove(key: string): void {
    const read = this.#all.get(key);
    if (!read) return;
    this.#all.delete(key);
    const group = groupOf(read);
    if (group === undefined) return;
    const left = (this.#groups.get(group) ?? []).filter((each) => each !== read);
    if (left.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, left);
  }

  /** Those that name the policy and could be read, by name. */
  group(namespace: string, policy: string): readonly ReadAcceptance[] {
    return this.#groups.get(groupKey(namespace, policy)) ?? [];
  }

  /** Why one that could be read has no effect all the same. */
  refusalOf(read: ReadAcceptance): string | undefined {
    const group = groupOf(read);
    if (group === undefined || (this.#groups.get(group)?.indexOf(read) ?? 0) < MAX_PER_POLICY)
      return undefined;
    return `only the first ${MAX_PER_POLICY} by name of one policy and namespace have effect: make one of several`;
  }
}

/** How an acceptance is found. */
export function keyOf({ namespace, name }: Pick<ReadAcceptance, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

function groupKey(namespace: string, policy: string): string {
  return `${namespace}/${policy}`;
}

function groupOf(read: ReadAcceptance): string | undefined {
  return "problem" in read.effect ? undefined : groupKey(read.namespace, read.effect.acceptance.policy);
}
