// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The acceptances of one policy in one namespace, and which violations each of them matches.
// Invariant: a violation is matched with an acceptance once in the life of both; the matching runs in slices, so that
// no number or form of globs blocks the event loop.

import type { Accepted } from "../api/v1alpha1.ts";
import type { Identity } from "../ingest/violation/violation.ts";
import type { Work } from "../lib/glob.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Acceptance } from "./acceptance-match.ts";

/** A violation to match; results are remembered by this object. */
export interface Subject {
  readonly identity: Identity;
}

/** Counts in a report that an acceptance matches. */
export interface Matched {
  violations: number;
  occurrences: number;
}

/** Steps of work, as globs count them, after which a slice ends: one or two milliseconds. */
const SLICE_STEPS = 100_000;
/** Cost of making an identity and of looking up a remembered result. */
const SUBJECT_STEPS = 200;
/** Small integers of V8 have 31 bits and a sign. */
const BITS = 30;

/** The acceptances in effect at this moment. */
export interface AcceptanceCatalog {
  /** Acceptances of one policy in a namespace; undefined where there are none. */
  find(namespace: string, policy: string): AcceptanceSet | undefined;
}

interface Slot {
  acceptance: Acceptance;
  expiresUs: EpochUs | undefined;
  index: number;
  /** Generation of the set that added it. */
  since: number;
}

interface Memory {
  /** Generation of the set for which `words` was computed. */
  generation: number;
  /** A bit for each slot: whether its acceptance matches. */
  words: number[];
}

export class AcceptanceSet {
  readonly #nowUs: () => EpochUs;
  readonly #slots: Slot[] = [];
  readonly #free: number[] = [];
  #generation = 0;
  #memory = new WeakMap<Subject, Memory>();

  constructor(nowUs: () => EpochUs) {
    this.#nowUs = nowUs;
  }

  get names(): string[] {
    return this.#slots.map(({ acceptance }) => acceptance.name);
  }

  /** Grows with every change. */
  get generation(): number {
    return this.#generation;
  }

  has(name: string): boolean {
    return this.#slots.some(({ acceptance }) => acceptance.name === name);
  }

  /** Adds an acceptance, or replaces the one of the same name. */
  put(acceptance: Acceptance, expiresUs: EpochUs | undefined): void {
    this.remove(acceptance.name);
    const index = this.#free.pop() ?? this.#slots.length;
    this.#slots.push({ acceptance, expiresUs, index, since: ++this.#generation });
    this.#slots.sort((a, b) => (a.acceptance.name < b.acceptance.name ? -1 : 1));
  }

  remove(name: string): void {
    const at = this.#slots.findIndex(({ acceptance }) => acceptance.name === name);
    if (at < 0) return;
    const [removed] = this.#slots.splice(at, 1);
    if (removed) this.#free.push(removed.index);
    this.#generation++;
  }

  /** True while any of them is in effect. */
  get isActive(): boolean {
    const nowUs = this.#nowUs();
    return this.#slots.some(({ expiresUs }) => !isOver(expiresUs, nowUs));
  }

  /** The acceptance in effect that matches a violation; the first by name of several. */
  acceptedBy(subject: Subject): Accepted | undefined {
    const { words } = this.#refresh(subject, { steps: 0 });
    if (words.every((word) => word === 0)) return undefined;
    const nowUs = this.#nowUs();
    const first = this.#slots.find((slot) => has(words, slot.index) && !isOver(slot.expiresUs, nowUs));
    return first && { by: first.acceptance.name };
  }

  /** Matches the pairs that were not matched before, yielding between slices. */
  *refresh(subjects: Iterable<Subject>): Steps {
    const work = { steps: 0 };
    for (const subject of subjects) {
      this.#refresh(subject, work);
      if (work.steps >= SLICE_STEPS) {
        yield;
        work.steps = 0;
      }
    }
  }

  /** Counts the matches of each acceptance, by its name, yielding between slices. */
  *count<S extends Subject>(subjects: Iterable<S>, occurrences: (subject: S) => number): Steps<Map<string, Matched>> {
    const sums = new Map<string, Matched>();
    const work = { steps: 0 };
    for (const subject of subjects) {
      const { words } = this.#refresh(subject, work);
      const count = occurrences(subject);
      if (count > 0 && words.some((word) => word !== 0)) this.#add(sums, words, count);
      work.steps += SUBJECT_STEPS / 4;
      if (work.steps < SLICE_STEPS) continue;
      yield;
      work.steps = 0;
    }
    return sums;
  }

  #add(sums: Map<string, Matched>, words: readonly number[], occurrences: number): void {
    for (const { acceptance, index } of this.#slots) {
      if (!has(words, index)) continue;
      const sum = sums.get(acceptance.name) ?? { violations: 0, occurrences: 0 };
      sum.violations++;
      sum.occurrences += occurrences;
      sums.set(acceptance.name, sum);
    }
  }

  #refresh(subject: Subject, work: Work): Memory {
    let memory = this.#memory.get(subject);
    if (memory?.generation === this.#generation) return memory;
    if (memory === undefined) {
      memory = { generation: -1, words: [] };
      this.#memory.set(subject, memory);
    }
    this.#match(subject, memory, work);
    memory.generation = this.#generation;
    return memory;
  }

  #match({ identity }: Subject, memory: Memory, work: Work): void {
    const { words, generation } = memory;
    work.steps += SUBJECT_STEPS;
    for (const { index } of this.#slots) while (words.length <= index / BITS) words.push(0);
    for (const { acceptance, index, since } of this.#slots) {
      if (since <= generation) continue;
      work.steps++;
      set(words, index, acceptance.matches(identity, work));
    }
    this.#clearFree(words);
  }

  #clearFree(words: number[]): void {
    for (const index of this.#free) if (index / BITS < words.length) set(words, index, false);
  }
}

function isOver(expiresUs: EpochUs | undefined, nowUs: EpochUs): boolean {
  return expiresUs !== undefined && expiresUs <= nowUs;
}

function has(words: readonly number[], index: number): boolean {
  return ((words[Math.floor(index / BITS)] ?? 0) & (1 << (index % BITS))) !== 0;
}

function set(words: number[], index: number, value: boolean): void {
  const word = Math.floor(index / BITS);
  const bit = 1 << (index % BITS);
  words[word] = value ? (words[word] ?? 0) | bit : (words[word] ?? 0) & ~bit;
}
