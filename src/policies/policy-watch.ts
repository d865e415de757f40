// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The policy objects of the cluster, followed by their metadata alone.
// Invariant: a kind that can't be followed, or has more objects than are kept, is not known; it is never taken for one
// without objects.

import type { PolicyObject, PolicyObjectKind } from "../api/v1alpha1.ts";
import { type FollowObserver, type FollowOptions, type FollowProblem, follow } from "../kube/follow.ts";
import type { Logger } from "../lib/logger.ts";
import { parseObjectKey, toObjectKey } from "../lib/object-key.ts";
import type { Knowledge, PolicyCatalog } from "../report/provenance.ts";
import { parsePolicyObject } from "./source.ts";

export interface PolicyWatchOptions extends Pick<FollowOptions, "client" | "clock" | "absentRetryMs" | "pageSize"> {
  logger: Logger;
  /** Policies of these names may be other ones now; undefined: of any name. */
  onChange: (names: ReadonlySet<string> | undefined) => void;
  /** Objects kept per kind; default 10,000. */
  maxPerKind?: number;
}

/** Numbers of followed objects, for metrics. */
export interface PolicyWatchStats {
  kind: PolicyObjectKind;
  knowledge: Knowledge;
  objects: number;
  /** Objects that there was no room for; no more are counted than are kept. */
  leftOut: number;
}

/** Path of the API group of KubeArmor's policies. */
export const POLICIES_PATH = "/apis/security.kubearmor.com/v1";

const PLURALS: Readonly<Record<PolicyObjectKind, string>> = {
  KubeArmorPolicy: "kubearmorpolicies",
  KubeArmorClusterPolicy: "kubearmorclusterpolicies",
  KubeArmorHostPolicy: "kubearmorhostpolicies",
  KubeArmorNetworkPolicy: "kubearmornetworkpolicies",
};

const KINDS = Object.keys(PLURALS) as readonly PolicyObjectKind[];

/** Follows the policies while it runs; run it once at a time. What it knows stays when it ends. */
export class PolicyWatch implements PolicyCatalog {
  readonly #options: PolicyWatchOptions;
  readonly #kinds: ReadonlyMap<PolicyObjectKind, PolicyIndex>;

  constructor(options: PolicyWatchOptions) {
    this.#options = options;
    this.#kinds = new Map(KINDS.map((kind) => [kind, new PolicyIndex(kind, options)]));
  }

  /** Follows until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, absentRetryMs, pageSize } = this.#options;
    const each = [...this.#kinds].map(([kind, index]) =>
      follow(
        { client, clock, absentRetryMs, pageSize, path: `${POLICIES_PATH}/${PLURALS[kind]}`, isMetadataOnly: true },
        index,
        signal,
      ),
    );
    await Promise.all(each);
  }

  /** Resolves when each kind has been listed once or has failed once. */
  async ready(): Promise<void> {
    await Promise.all([...this.#kinds.values()].map((index) => index.tried));
  }

  knowledge(kind: PolicyObjectKind): Knowledge {
    return this.#kinds.get(kind)?.knowledge ?? "unknown";
  }

  find(kind: PolicyObjectKind, namespace: string | undefined, name: string): PolicyObject | undefined {
    return this.#kinds.get(kind)?.find(namespace, name);
  }

  stats(): PolicyWatchStats[] {
    return [...this.#kinds].map(([kind, { knowledge, size, leftOut }]) => ({
      kind,
      knowledge,
      objects: size,
      leftOut,
    }));
  }
}

/** Objects by key, and the keys of those that there was no room for. */
interface Kept {
  objects: Map<string, PolicyObject>;
  /** At most as many as objects; where it is full there may be more. */
  leftOut: Set<string>;
}

/** The objects of one kind. */
class PolicyIndex implements FollowObserver {
  readonly tried: Promise<void>;
  readonly #kind: PolicyObjectKind;
  readonly #options: PolicyWatchOptions;
  readonly #resolveTried: () => void;
  #kept = createKept();
  #state: Knowledge = "unknown";
  /** Objects of the list that is being read. */
  #listing: Kept | undefined;

  constructor(kind: PolicyObjectKind, options: PolicyWatchOptions) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.tried = promise;
    this.#resolveTried = resolve;
    this.#kind = kind;
    this.#options = options;
  }

  get #max(): number {
    return this.#options.maxPerKind ?? 10_000;
  }

  get size(): number {
    return this.#kept.objects.size;
  }

  get leftOut(): number {
    return this.#kept.leftOut.size;
  }

  get knowledge(): Knowledge {
    return this.leftOut > 0 ? "unknown" : this.#state;
  }

  find(namespace: string | undefined, name: string): PolicyObject | undefined {
    return this.#kept.objects.get(toObjectKey({ namespace, name }));
  }

  onListing(): void {
    this.#listing = createKept();
  }

  onObject(item: unknown): void {
    const named = parsePolicyObject(this.#kind, item);
    if (!named) return;
    const { objects } = this.#listing ?? this.#kept;
    const key = toObjectKey({ namespace: named.object.namespace, name: named.name });
    const known = objects.get(key);
    if (known === undefined && objects.size >= this.#max) {
      this.#leaveOut(key);
      return;
    }
    objects.set(key, named.object);
    if (this.#endLeftOut(key)) this.#options.onChange(undefined);
    if (this.#listing || JSON.stringify(known) === JSON.stringify(named.object)) return;
    this.#options.onChange(new Set([named.name]));
  }

  onListed(): void {
    const old = this.#kept.objects;
    const wasKnown = this.knowledge === "known";
    // Only a complete list shows which policies are absent.
    this.#kept = this.#listing ?? createKept();
    this.#listing = undefined;
    this.#state = "known";
    this.#resolveTried();
    if (!wasKnown || this.leftOut > 0) this.#options.onChange(undefined);
    else this.#options.onChange(findDifferences(old, this.#kept.objects));
  }

  onRemoved(item: unknown): void {
    const named = parsePolicyObject(this.#kind, item);
    if (!named) return;
    const key = toObjectKey({ namespace: named.object.namespace, name: named.name });
    if (this.#kept.objects.delete(key)) this.#options.onChange(new Set([named.name]));
    if (this.#endLeftOut(key)) this.#options.onChange(undefined);
  }

  #leaveOut(key: string): void {
    const { leftOut } = this.#listing ?? this.#kept;
    const isFirst = leftOut.size === 0;
    if (leftOut.size < this.#max) leftOut.add(key);
    if (!isFirst) return;
    this.#options.logger.warn({ kind: this.#kind, kept: this.#max }, "too many policies, some left out");
    if (!this.#listing) this.#options.onChange(undefined);
  }

  /** Returns true where this object was the only one left out. */
  #endLeftOut(key: string): boolean {
    const { leftOut } = this.#kept;
    return !this.#listing && leftOut.size < this.#max && leftOut.delete(key) && leftOut.size === 0;
  }

  onOpen(wasInterrupted: boolean): void {
    if (wasInterrupted) this.#options.logger.info({ kind: this.#kind }, "following policies");
  }

  onProblem(problem: FollowProblem): void {
    this.#listing = undefined;
    this.#resolveTried();
    if (problem.isNew) this.#logProblem(problem);
    // A short outage does not invalidate known policies.
    if (problem.code !== "NotServed" && problem.code !== "Forbidden") return;
    const state = problem.code === "NotServed" ? "unserved" : "unknown";
    const changed = state !== this.#state || this.size > 0;
    this.#state = state;
    this.#kept = createKept();
    if (changed) this.#options.onChange(undefined);
  }

  /** Not as an error: reports lack an answer, and nothing else. */
  #logProblem({ code, message }: FollowProblem): void {
    const { logger } = this.#options;
    const fields = { kind: this.#kind, answer: message };
    if (code === "NotServed") {
      logger.info(fields, "policy kind not served, retrying");
    } else {
      logger.warn(fields, "failed to follow policies, retrying");
    }
  }
}

function createKept(): Kept {
  return { objects: new Map(), leftOut: new Set() };
}

/** The names of objects that are in one of the two only, or differ. */
function findDifferences(
  a: ReadonlyMap<string, PolicyObject>,
  b: ReadonlyMap<string, PolicyObject>,
): ReadonlySet<string> {
  const keys = new Set([...a.keys(), ...b.keys()]);
  const changed = [...keys].filter((key) => JSON.stringify(a.get(key)) !== JSON.stringify(b.get(key)));
  return new Set(changed.map((key) => parseObjectKey(key).name));
}
