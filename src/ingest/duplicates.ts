// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tells exact duplicates: a relay that is connected to a node twice delivers the very same alert twice.
// Invariant: memory is bounded by maxEntries alerts; at the bound the older half is forgotten. An alert is taken for a
// duplicate only where all that tells it from others is the same: hashes only say where to look.

import type { Alert } from "../api/alert.ts";
import { stableHash } from "../lib/hash.ts";
import type { EpochUs } from "../lib/time.ts";

export interface DuplicateWindow {
  /** How long an alert is remembered at least, in milliseconds, unless maxEntries forces it out sooner. */
  windowMs: number;
  /** Alerts remembered at most. */
  maxEntries: number;
}

/** What an exact duplicate shares but for host pid and time; the same for all repetitions of a activity in a container. */
export interface DuplicateSubject {
  readonly text: string;
  readonly hash: number;
}

/** A longer text is replaced by its hash: subjects are kept by the ten thousand, and a resource may be of any length. */
const MAX_SUBJECT = 512;

/** Remembers alerts in two generations, so that forgetting costs nothing per alert. */
export class DuplicateFilter {
  readonly #options: DuplicateWindow;
  readonly #seed: number;
  #young = new Generation();
  #old = new Generation();
  #turnedMs = 0;

  /** `seed` is any 32-bit number that nobody else knows: whoever knew it could make alerts that are slow to find. */
  constructor(options: DuplicateWindow, seed: number) {
    this.#options = options;
    this.#seed = seed;
  }

  /** Returns what duplicates of an alert share: node, container, operation, resource and policy, as they came. */
  subjectOf({ HostName, ContainerID, Operation, Resource, PolicyName }: Alert): DuplicateSubject {
    const exact = JSON.stringify([HostName, ContainerID, Operation, Resource, PolicyName]);
    const text = exact.length <= MAX_SUBJECT ? exact : stableHash(exact, 64);
    let hash = this.#seed;
    for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i));
    return { text, hash };
  }

  /** Returns true when the same alert came within the window; else remembers it. */
  isDuplicate(subject: DuplicateSubject, hostPid: number, timeUs: EpochUs, nowMs: number): boolean {
    this.#turn(nowMs);
    const low = timeUs | 0;
    const hash = mix(mix(mix(subject.hash, hostPid | 0), low), (timeUs - (low >>> 0)) / 0x1_0000_0000);
    if (this.#old.has(hash, subject.text, hostPid, timeUs)) return true;
    return !this.#young.add(hash, subject.text, hostPid, timeUs);
  }

  #turn(nowMs: number): void {
    const aged = nowMs - this.#turnedMs >= this.#options.windowMs;
    if (!aged && this.#young.size * 2 < this.#options.maxEntries) return;
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = forgotten;
    forgotten.clear();
    this.#turnedMs = nowMs;
  }
}

/** A hash table without an object per entry: an alert that is remembered makes no garbage. */
class Generation {
  size = 0;
  #hashes = new Int32Array(FIRST_SLOTS);
  /** undefined where the slot is free. */
  #subjects: (string | undefined)[] = new Array(FIRST_SLOTS).fill(undefined);
  #hostPids = new Float64Array(FIRST_SLOTS);
  #times = new Float64Array(FIRST_SLOTS);

  has(hash: number, subject: string, hostPid: number, timeUs: EpochUs): boolean {
    return this.#subjects[this.#slot(hash, subject, hostPid, timeUs)] !== undefined;
  }

  /** Returns false when it is there already. */
  add(hash: number, subject: string, hostPid: number, timeUs: EpochUs): boolean {
    const slot = this.#slot(hash, subject, hostPid, timeUs);
    if (this.#subjects[slot] !== undefined) return false;
    this.#fill(slot, hash, subject, hostPid, timeUs);
    if (++this.size * 2 > this.#hashes.length) this.#grow();
    return true;
  }

  clear(): void {
    this.#subjects.fill(undefined);
    this.size = 0;
  }

  /** Where the alert is, or would be. */
  #slot(hash: number, subject: string, hostPid: number, timeUs: EpochUs): number {
    const mask = this.#hashes.length - 1;
    let slot = hash & mask;
    for (let held = this.#subjects[slot]; held !== undefined; held = this.#subjects[slot]) {
      const isSame =
        this.#hashes[slot] === hash &&
        this.#times[slot] === timeUs &&
        this.#hostPids[slot] === hostPid &&
        held === subject;
      if (isSame) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #fill(slot: number, hash: number, subject: string, hostPid: number, timeUs: EpochUs): void {
    this.#hashes[slot] = hash;
    this.#subjects[slot] = subject;
    this.#hostPids[slot] = hostPid;
    this.#times[slot] = timeUs;
  }

  #grow(): void {
    const { length } = this.#hashes;
    const [hashes, subjects, hostPids, times] = [this.#hashes, this.#subjects, this.#hostPids, this.#times];
    this.#hashes = new Int32Array(2 * length);
    this.#subjects = new Array(2 * length).fill(undefined);
    this.#hostPids = new Float64Array(2 * length);
    this.#times = new Float64Array(2 * length);
    for (let i = 0; i < length; i++) {
      const subject = subjects[i];
      if (subject === undefined) continue;
      const [hash, hostPid, timeUs] = [hashes[i]!, hostPids[i]!, times[i]!];
      this.#fill(this.#slot(hash, subject, hostPid, timeUs), hash, subject, hostPid, timeUs);
    }
  }
}

/** Slots of a new generation: a power of two, as every number of slots. */
const FIRST_SLOTS = 256;

/** Mixes a number into a hash. */
function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
