// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Distinct workloads, pods and nodes in the alerts of one report, and the subjects that throttle notices of the report
// are about.

import { type Identity, podKey, UNKNOWN, type ViolationFacts, workloadKey } from "../../ingest/violation/violation.ts";
import { Distinct } from "../counts/distinct.ts";
import type { Tally } from "../counts/tally.ts";
import type { Base } from "../entries/counted.ts";
import type { Entry } from "../entries/entry.ts";

export class SubjectCounts {
  readonly workloads: Distinct;
  readonly pods: Distinct;
  readonly nodes: Distinct;
  readonly #namespace: string | undefined;
  /** Pods, and nodes as a whole, with alerts in this report: their throttling concerns it. */
  readonly #mutable: Distinct;

  /** `onBytes`: as that of Distinct. */
  constructor(namespace: string | undefined, onBytes?: (bytes: number) => void) {
    this.#namespace = namespace;
    this.workloads = new Distinct(onBytes);
    this.pods = new Distinct(onBytes);
    this.nodes = new Distinct(onBytes);
    this.#mutable = new Distinct(onBytes);
  }

  /** Forgets all of them. */
  clear(): void {
    for (const each of [this.workloads, this.pods, this.nodes, this.#mutable]) each.clear();
  }

  /** Starts again from the counts of the stored report and from those in flight and pending of `open`. */
  recount(base: Base | undefined, open: Iterable<Entry>): void {
    this.clear();
    this.workloads.floor = base?.workloads ?? 0;
    this.pods.floor = base?.pods ?? 0;
    this.nodes.floor = base?.nodes ?? 0;
    for (const { identity, committed } of base?.entries ?? []) if (committed) this.addTally(identity, committed);
    for (const { identity, inFlight, pending } of open)
      for (const tally of [inFlight, pending]) if (tally) this.addTally(identity, tally);
  }

  /**
   * Returns true when this report has seen the pod or, without a pod, what a notice for a whole node mutes: in the
   * cluster report the processes outside any pod, in a namespace's all of its pods on the node.
   */
  concerns(pod: string, node: string): boolean {
    return this.#mutable.mayHave(pod === "" ? toNodeKey(node) : podKey(this.#namespace, pod, node));
  }

  /** One more alert. */
  see({ identity, pod, node, podKey }: ViolationFacts): void {
    this.workloads.add(workloadKey(identity));
    if (node !== "") this.nodes.add(node);
    if (pod !== "") this.#addPod(identity, podKey);
    if (pod === "" || this.#namespace !== undefined) this.#mutable.add(toNodeKey(node));
  }

  #addPod({ namespace }: Identity, key: string): void {
    // A notice without a valid namespace is about a whole node.
    this.#mutable.add(key);
    this.pods.add(`${namespace}\u001f${key}`);
  }

  /** Alerts that were counted before. */
  addTally(identity: Identity, tally: Tally): void {
    this.workloads.add(workloadKey(identity));
    const { kind, name } = identity.workload;
    if (kind === "Node" && name !== UNKNOWN && tally.pods.size === 0) {
      this.nodes.add(name);
      this.#mutable.add(toNodeKey(name));
    }
    for (const [key, pod] of tally.pods) {
      this.#addPod(identity, key);
      if (pod.node !== "") this.nodes.add(pod.node);
      if (this.#namespace !== undefined) this.#mutable.add(toNodeKey(pod.node));
    }
  }
}

function toNodeKey(node: string): string {
  return `\u001f${node}`;
}
