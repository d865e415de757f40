// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Annotation of a cluster report with the counts of namespaces that are gone: the position in the stream up to which the
// report holds the counts of each of them, and up to which it declares the gaps of the partitions that they come from.
// Invariant: the annotation and the counts are in one write, so that no message is moved twice, whichever process does it.

import { MOVED_ANNOTATION } from "../../api/names.ts";
import type { ObjectMeta, Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { parseMarks } from "../../reconcile/marks.ts";
import { pickIndex } from "../leases/rendezvous.ts";

/** Writer of moved counts in the marks of a report: all owners share it, and each write has another number. */
export const MOVED_ID = "moved";
/** Namespaces of one report that are remembered; those at the highest positions stay. */
const MAX_NAMESPACES = 1000;
/** Begins the entry of a partition's gaps; no namespace begins with it. */
const GAPS = "*";
const ENTRY = /^([^\s=]+)=(\d{1,15})$/;

/** Writes the positions, less those that no owner can need any more. */
export function formatMoved(stream: string, positions: ReadonlyMap<string, number>): string {
  const newest = [...positions].sort(([, a], [, b]) => b - a).slice(0, MAX_NAMESPACES);
  return [stream, ...newest.map(([namespace, position]) => `${namespace}=${position}`)].join(" ");
}

/** True for a report with counts of another stream, of which its owner has not written again. */
export function isOfOtherStream(metadata: ObjectMeta, stream: string): boolean {
  const mark = parseMarks(metadata).find(({ id }) => id !== MOVED_ID)?.id;
  const writtenFrom = mark ?? metadata.annotations?.[MOVED_ANNOTATION]?.split(" ")[0];
  return writtenFrom?.startsWith("stream-") === true && writtenFrom !== stream;
}

/** Positions by namespace, or by toGapsEntry, as of this stream; empty for another stream. */
export function parseMoved(metadata: ObjectMeta | undefined, stream: string): Map<string, number> {
  const [of, ...entries] = metadata?.annotations?.[MOVED_ANNOTATION]?.split(" ") ?? [];
  if (of !== stream) return new Map();
  return new Map(
    entries.flatMap((entry) => {
      const [, name, position] = ENTRY.exec(entry) ?? [];
      return name === undefined ? [] : [[name, Number(position)] as const];
    }),
  );
}

/** Stands for the gaps of a partition among the namespaces of one report. */
export function toGapsEntry(partition: number): string {
  return `${GAPS}${partition}`;
}

export interface Partition {
  index: number;
  count: number;
}

/** True for a namespace, or gaps, that this partition moves to the cluster report of the policy. */
export function isMovedBy({ index, count }: Partition, entry: string, policyName: string): boolean {
  if (entry.startsWith(GAPS)) return entry === toGapsEntry(index);
  return pickIndex(reportKey(entry, policyName), count) === index;
}

/** Positions by the key of the report that could not be stored, of one partition. */
export function listMoved({ metadata, policy }: Report, stream: string, partition: Partition): [string, number][] {
  if (metadata.namespace !== undefined) return [];
  return [...parseMoved(metadata, stream)]
    .filter(([entry]) => isMovedBy(partition, entry, policy.name))
    .map(([entry, position]) => [reportKey(entry, policy.name), position]);
}
