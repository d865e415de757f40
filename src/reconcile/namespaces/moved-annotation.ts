// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Annotation of a cluster report with the counts of namespaces that are gone: the position up to which the report holds the
// counts of each of them. Positions are numbers of sets of one writer, or with several processes those of the stream.
// Invariant: the annotation and the counts are in one write, so that no count is moved twice, whichever process does it.

import { MOVED_ANNOTATION } from "../../api/names.ts";
import type { ObjectMeta } from "../../api/v1alpha1.ts";

/** Entries of one report that are remembered; those at the highest positions stay. */
export const MAX_MOVED = 1000;
const ENTRY = /^([^\s=]+)=(\d{1,15})$/;

/** Returns the name of the writer, or stream, that the positions are of; undefined without an annotation. */
export function findMovedBy({ annotations }: ObjectMeta): string | undefined {
  return annotations?.[MOVED_ANNOTATION]?.split(" ")[0];
}

/** Positions by namespace, as of this writer or stream; empty for another one. */
export function parseMoved(metadata: ObjectMeta | undefined, by: string): Map<string, number> {
  const [of, ...entries] = metadata?.annotations?.[MOVED_ANNOTATION]?.split(" ") ?? [];
  if (of !== by) return new Map();
  return new Map(
    entries.flatMap((entry) => {
      const [, name, position] = ENTRY.exec(entry) ?? [];
      return name === undefined ? [] : [[name, Number(position)] as const];
    }),
  );
}

/** Returns the metadata with these positions, less those that are beyond the bound. */
export function setMoved(metadata: ObjectMeta, by: string, positions: ReadonlyMap<string, number>): ObjectMeta {
  const newest = [...positions].sort(([, a], [, b]) => b - a).slice(0, MAX_MOVED);
  const value = [by, ...newest.map(([name, position]) => `${name}=${position}`)].join(" ");
  return { ...metadata, annotations: { ...metadata.annotations, [MOVED_ANNOTATION]: value } };
}

/** Positions of the pending counts of one report, and of those in flight. */
export class MovedPositions {
  readonly #pending = new Map<string, number>();
  readonly inFlight = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#pending.size + this.inFlight.size === 0;
  }

  /** Records that the pending counts have those of `entry` up to `position`. */
  raise(entry: string, position: number): void {
    raisePosition(this.#pending, entry, position);
  }

  /** Records that the pending counts go in flight. */
  take(): void {
    for (const [entry, position] of this.#pending) raisePosition(this.inFlight, entry, position);
    this.#pending.clear();
  }
}

export function raisePosition(positions: Map<string, number>, entry: string, position: number): void {
  positions.set(entry, Math.max(position, positions.get(entry) ?? 0));
}
