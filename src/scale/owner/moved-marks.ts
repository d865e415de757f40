// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Entries of the annotation of moved counts, as owners use it: of namespaces, and of partitions, up to which position of the
// stream the report declares the gaps of those that its counts come from.

import type { ObjectMeta, Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { parseMarks } from "../../reconcile/marks.ts";
import { findMovedBy, parseMoved } from "../../reconcile/namespaces/moved-annotation.ts";
import { pickIndex } from "../leases/rendezvous.ts";

/** Writer of moved counts in the marks of a report: all owners share it, and each write has another number. */
export const MOVED_ID = "moved";
/** Begins the entry of a partition's gaps; no namespace begins with it. */
const GAPS = "*";

/** True for a report with counts of another stream, of which its owner has not written again. */
export function isOfOtherStream(metadata: ObjectMeta, stream: string): boolean {
  const mark = parseMarks(metadata).find(({ id }) => id !== MOVED_ID)?.id;
  const writtenFrom = mark ?? findMovedBy(metadata);
  return writtenFrom?.startsWith("stream-") === true && writtenFrom !== stream;
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
