// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Marks in a stored report's annotation, one per writer, that identify the counts it holds: each writer can see if a
// write of its own was persisted, also after another writer has written on top of it.
// Invariant: a mark names a set of counts of one report, never an attempt: an object with the mark contains that set
// exactly once.

import { ARGO_COMPARE_ANNOTATION, ARGO_COMPARE_VALUE, MARKS_ANNOTATION } from "../api/names.ts";
import type { ObjectMeta } from "../api/v1alpha1.ts";

/** The newest set of counts of one writer that a report holds. */
export interface Mark {
  /** The writer's, unlike any other that ever was. */
  id: string;
  /** Grows from set to set of one report; from 1. */
  seq: number;
}

/** Marks that a report carries: the writers before these are long gone, or long done. */
export const MAX_MARKS = 8;

const MARK = /^([^\s/]+)\/(\d{1,15})$/;

/** The marks of a stored object, the last writer's first; invalid ones are left out. */
export function parseMarks(metadata: ObjectMeta | undefined): Mark[] {
  const words = metadata?.annotations?.[MARKS_ANNOTATION]?.split(" ") ?? [];
  return words.slice(0, MAX_MARKS).flatMap((word) => {
    const [, id, seq] = MARK.exec(word) ?? [];
    return id === undefined ? [] : [{ id, seq: Number(seq) }];
  });
}

/**
 * Returns the mark of a write with which writer `id` only shuts others out: it belongs to no writer, so it names no
 * set.
 */
export function createFenceId(id: string): string {
  return `${id}.fence`;
}

/** True if the object was written last by another writer than `id`, which leaves a mark as well. */
export function isWrittenByAnother(metadata: ObjectMeta | undefined, id: string): boolean {
  const last = parseMarks(metadata)[0]?.id;
  return last !== undefined && last !== id && last !== createFenceId(id);
}

/** The newest set of writer `id` that a stored object holds; 0 where it holds none. */
export function findPersistedSeq(metadata: ObjectMeta | undefined, id: string): number {
  return parseMarks(metadata).find((mark) => mark.id === id)?.seq ?? 0;
}

/** True if both objects were written last by the same write, so that they hold the same counts. */
export function isSameWrite(a: ObjectMeta | undefined, b: ObjectMeta | undefined): boolean {
  const [mine] = parseMarks(a);
  const [other] = parseMarks(b);
  return mine !== undefined && mine.id === other?.id && mine.seq === other.seq;
}

/** The annotations of an object that brings the set `mark` on top of what `stored` holds. */
export function addMark(mark: Mark | undefined, stored: ObjectMeta | undefined): Record<string, string> {
  const own = { ...stored?.annotations, [ARGO_COMPARE_ANNOTATION]: ARGO_COMPARE_VALUE };
  if (!mark) return own;
  const others = parseMarks(stored).filter(({ id }) => id !== mark.id);
  const marks = [mark, ...others].slice(0, MAX_MARKS).map(({ id, seq }) => `${id}/${seq}`);
  return { ...own, [MARKS_ANNOTATION]: marks.join(" ") };
}
