// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows the names and versions of the objects in a collection, by their metadata alone.

import type { FollowObserver } from "../../kube/follow.ts";

export interface StoredName {
  namespace: string | undefined;
  name: string;
  resourceVersion: string;
}

export interface StoredNamesObserver extends Pick<FollowObserver, "onProblem" | "onOpen"> {
  /** An object is stored in this version; repeated by each list. */
  onPresent(key: string, stored: StoredName): void;
  /** An object of this key is no longer stored. */
  onAbsent(key: string): void;
  onListed?(): void;
}

/** Returns what `follow` takes. `toKey` names an object for the observer; `keys` are those that it holds. */
export function observeNames(
  observer: StoredNamesObserver,
  toKey: (stored: StoredName) => string,
  keys: () => Iterable<string>,
): FollowObserver {
  let listed: Set<string> | undefined;
  return {
    onListing: () => {
      listed = new Set();
    },
    onObject: (object) => {
      const stored = readStoredName(object);
      if (!stored) return;
      const key = toKey(stored);
      listed?.add(key);
      observer.onPresent(key, stored);
    },
    onListed: () => {
      for (const key of [...keys()]) if (!listed?.has(key)) observer.onAbsent(key);
      listed = undefined;
      observer.onListed?.();
    },
    onRemoved: (object) => {
      const stored = readStoredName(object);
      if (stored) observer.onAbsent(toKey(stored));
    },
    onProblem: observer.onProblem,
    onOpen: observer.onOpen,
  };
}

function readStoredName(object: unknown): StoredName | undefined {
  const { metadata } = (object ?? {}) as { metadata?: Partial<StoredName> };
  const { name, namespace, resourceVersion } = metadata ?? {};
  if (typeof name !== "string" || typeof resourceVersion !== "string") return undefined;
  return { namespace, name, resourceVersion };
}
