// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owners of pods and names of containers, learned from alerts: KubeArmor's first alerts of a pod lack them, and those of
// init and ephemeral containers always do.
// Invariant: bounded; the oldest names are evicted first, and later alerts without a name are counted without it.

import type { Workload } from "../../api/v1alpha1.ts";
import {
  type Identity,
  identityKey,
  podKey,
  type SubjectFacts,
  settleIdentity,
  unresolvedContainer,
  type ViolationFacts,
} from "./violation.ts";

const MAX_NAMES = 50_000;
/** Different names of one pod or container. */
const MAX_DIFFERENT = 4;

export class SubjectNames {
  readonly #onNamed: ((violation: ViolationFacts) => void) | undefined;
  readonly #owners = new BoundedMap<Workload>((a, b) => a.kind === b.kind && a.name === b.name);
  readonly #containers = new BoundedMap<string>((a, b) => a === b);

  /** `onNamed` receives a violation of a pod when its owner, or the name of one of its containers, becomes known. */
  constructor(onNamed?: (violation: ViolationFacts) => void) {
    this.#onNamed = onNamed;
  }

  get size(): number {
    return this.#owners.size + this.#containers.size;
  }

  get evictedTotal(): number {
    return this.#owners.evictedTotal + this.#containers.evictedTotal;
  }

  /** Remembers the names in an alert. */
  learn(violation: ViolationFacts, { hasOwner, containerId }: SubjectFacts): void {
    const { namespace, pod, identity } = violation;
    if (namespace === undefined || pod === "") return;
    const { workload, container } = identity;
    const isOwner = hasOwner && !(workload.kind === "Pod" && workload.name === pod);
    const isNewOwner = isOwner && this.#owners.put(toKey(namespace, pod), workload);
    const isContainer = container !== "" && containerId !== "";
    const key = toKey(namespace, unresolvedContainer(pod, containerId));
    if ((isContainer && this.#containers.put(key, container)) || isNewOwner) this.#onNamed?.(violation);
  }

  /** Completes a violation with known names; the same object where there are none. */
  resolve(violation: ViolationFacts): ViolationFacts {
    const { namespace, pod } = violation;
    if (namespace === undefined || pod === "") return violation;
    const identity = this.resolveIdentity(namespace, violation.identity);
    return identity === violation.identity ? violation : { ...violation, identity, key: identityKey(identity) };
  }

  hasOwner(namespace: string, pod: string): boolean {
    return this.#owners.get(toKey(namespace, pod)) !== undefined;
  }

  /** Completes an identity with known names; the same object where there are none. */
  resolveIdentity(namespace: string, identity: Identity): Identity {
    const { workload, unresolved } = identity;
    const owner = workload.kind === "Pod" ? this.#owners.get(toKey(namespace, workload.name)) : undefined;
    const container = unresolved === undefined ? undefined : this.#containers.get(toKey(namespace, unresolved));
    if (owner === undefined && container === undefined) return identity;
    const named = container === undefined ? identity : { ...settleIdentity(identity), container };
    return owner === undefined ? named : { ...named, workload: owner };
  }
}

function toKey(namespace: string, name: string): string {
  return podKey(undefined, namespace, name);
}

/**
 * Holds the newest of the different values of a key. Alerts of a known kind are counted without reading their names, so
 * a value that repeats must change nothing.
 */
class BoundedMap<T> {
  readonly #values = new Map<string, T[]>();
  readonly #isSame: (a: T, b: T) => boolean;
  evictedTotal = 0;

  constructor(isSame: (a: T, b: T) => boolean) {
    this.#isSame = isSame;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): T | undefined {
    return this.#values.get(key)?.at(-1);
  }

  /** Adds a value; returns true where the key was not known. */
  put(key: string, value: T): boolean {
    const known = this.#values.get(key);
    if (known !== undefined) {
      if (known.some((each) => this.#isSame(each, value))) return false;
      if (known.push(value) > MAX_DIFFERENT) known.shift();
      return false;
    }
    this.#values.set(key, [value]);
    if (this.#values.size > MAX_NAMES) {
      this.#values.delete(this.#values.keys().next().value as string);
      this.evictedTotal++;
    }
    return true;
  }
}
