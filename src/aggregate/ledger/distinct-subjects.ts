// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Distinct workloads, pods and nodes in the alerts of one report, and the subjects that throttle notices of the report
// are about.

import type { CellFacts } from "../../ingest/cells/cell-owner.ts";
import { type Identity, podKey, UNKNOWN, type ViolationFacts, workloadKey } from "../../ingest/violation/violation.ts";
import { Distinct } from "../counts/distinct.ts";
import type { Tally } from "../counts/tally.ts";
import type { Base } from "../entries/counted.ts";
import type { Entry } from "../entries/entry.ts";

export class SubjectCounts {
  workloads: Distinct;
  pods: Distinct;
  nodes: Distinct;
  readonly #namespace: string | undefined;
  readonly #onBytes: ((bytes: number) => void) | undefined;
  /** Pods, and nodes as a whole, with alerts in this report: their throttling concerns it. */
  #mutable: Distinct;
  /** Takes the place of this at the end of a recount. */
  #next: SubjectCounts | undefined;

  /** `onBytes`: as in Distinct. */
  constructor(namespace: string | undefined, onBytes?: (bytes: number) => void) {
    this.#namespace = namespace;
    this.#onBytes = onBytes;
    this.workloads = new Distinct(onBytes);
    this.pods = new Distinct(onBytes);
    this.nodes = new Distinct(onBytes);
    this.#mutable = new Distinct(onBytes);
  }

  clear(): void {
    for (const each of [this.workloads, this.pods, this.nodes, this.#mutable]) each.clear();
  }

  /** Starts again from the counts of the stored report. What is counted until endRecount is in both. */
  beginRecount(base: Base | undefined): void {
    const next = new SubjectCounts(this.#namespace, this.#onBytes);
    next.workloads.floor = base?.workloads ?? 0;
    next.pods.floor = base?.pods ?? 0;
    next.nodes.floor = base?.nodes ?? 0;
    for (const { identity, committed } of base?.entries ?? []) if (committed) next.addTally(identity, committed);
    this.#next = next;
  }

  recount({ identity, inFlight, pending }: Entry): void {
    for (const tally of [inFlight, pending]) if (tally) this.#next?.addTally(identity, tally);
  }

  endRecount(): void {
    const next = this.#next;
    if (!next) return;
    this.clear();
    this.workloads = next.workloads;
    this.pods = next.pods;
    this.nodes = next.nodes;
    this.#mutable = next.#mutable;
    this.#next = undefined;
  }

  /**
   * Returns true when this report has seen the pod or, without a pod, what a notice for a whole node concerns: in the
   * cluster report the processes outside any pod, in a namespace's all of its pods on the node.
   */
  concerns(pod: string, node: string): boolean {
    return this.#mutable.mayHave(pod === "" ? toNodeKey(node) : podKey(this.#namespace, pod, node));
  }

  /** Sees in a recount what is counted for an entry from now on, in its cell. */
  seeCounting(entry: Entry, facts: CellFacts): void {
    this.#next?.see({ ...facts, identity: entry.identity });
  }

  see(facts: Pick<ViolationFacts, "identity" | "pod" | "node" | "podKey">): void {
    this.#next?.see(facts);
    const { identity, pod, node, podKey } = facts;
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
    this.#next?.addTally(identity, tally);
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
