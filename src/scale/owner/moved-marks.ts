// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Annotation of a cluster report with the counts of namespaces that are gone: the position in the stream up to which the
// report holds the counts of each of them.
// Invariant: the annotation and the counts are in one write, so that no message is moved twice, whichever process does it.

import { MOVED_ANNOTATION } from "../../api/names.ts";
import type { ObjectMeta, Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";

/** Namespaces of one report that are remembered; those at the highest positions stay. */
const MAX_NAMESPACES = 1000;
const ENTRY = /^([^\s=]+)=(\d{1,15})$/;

/** Writes the positions, less those that no owner can need any more. */
export function formatMoved(stream: string, positions: ReadonlyMap<string, number>): string {
  const newest = [...positions].sort(([, a], [, b]) => b - a).slice(0, MAX_NAMESPACES);
  return [stream, ...newest.map(([namespace, position]) => `${namespace}=${position}`)].join(" ");
}

/** Positions by namespace as of this stream; empty for another stream. */
export function parseMoved(metadata: ObjectMeta | undefined, stream: string): Map<string, number> {
  const [of, ...entries] = metadata?.annotations?.[MOVED_ANNOTATION]?.split(" ") ?? [];
  if (of !== stream) return new Map();
  return new Map(
    entries.flatMap((entry) => {
      const [, namespace, position] = ENTRY.exec(entry) ?? [];
      return namespace === undefined ? [] : [[namespace, Number(position)] as const];
    }),
  );
}

/** Positions by the key of the report that could not be stored. */
export function listMoved({ metadata, policy }: Report, stream: string): [string, number][] {
  if (metadata.namespace !== undefined) return [];
  return [...parseMoved(metadata, stream)].map(([namespace, position]) => [
    reportKey(namespace, policy.name),
    position,
  ]);
}
