// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Queue of keys to be worked on, with client-go's words: add, addAfter, get, done, forget.
// - A key waits at most once, and is never given out while it is being processed.
// - Ready keys go by rank, lowest first. Within a rank flows (tenants) take turns, and a flow is first in, first out.
// - A ready key moves up one rank per `ageMs` waited, so that urgent keys without end do not starve the others.
// - Times are monotonic: a wall clock that is set changes nothing.
// - One call moves a bounded number of keys that become ready at once, the most urgent first; later calls the others.
// Not guaranteed: a bound. The caller bounds the number of its keys.

import type { Clock } from "../clock.ts";
import { DueHeap } from "../collections/due-heap.ts";
import { VISITS_PER_STEP } from "./steps.ts";

export interface WorkQueueOptions {
  clock: Pick<Clock, "monotonicMs">;
  /** Ranks 0 to ranks - 1. */
  ranks: number;
  /** Time after which a ready key moves up a rank, in milliseconds; default 5,000. */
  ageMs?: number;
  /** Tenant of a key; default: one for all. */
  flow?: (key: string) => string;
}

interface Item {
  key: string;
  /** As added; the most urgent of several adds. */
  rank: number;
  dueMs: number;
  /** After a failure: no add makes the next try come sooner. */
  notBeforeMs: number;
  /** Rank with the promotions for waiting; undefined while delayed. */
  level: number | undefined;
  levelSinceMs: number;
}

export class WorkQueue {
  onAdd: () => void = () => {};
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #ageMs: number;
  readonly #flow: (key: string) => string;
  readonly #items = new Map<string, Item>();
  /** By rank. */
  readonly #delayed: DueHeap<Item>[];
  readonly #levels: Level[];
  /** Items by rank as added. */
  readonly #counts: number[];
  readonly #processing = new Set<string>();
  /** Added while being processed. */
  readonly #parked = new Map<string, Item>();

  constructor({ clock, ranks, ageMs = 5000, flow = () => "" }: WorkQueueOptions) {
    this.#clock = clock;
    this.#ageMs = ageMs;
    this.#flow = flow;
    this.#delayed = Array.from({ length: ranks }, () => new DueHeap());
    this.#levels = Array.from({ length: ranks }, () => new Level());
    this.#counts = Array.from({ length: ranks }, () => 0);
  }

  /** Keys that wait. */
  get length(): number {
    return this.#items.size + this.#parked.size;
  }

  /** Keys of a rank, as added, that wait; without those that are being processed as well. */
  waitingIn(rank: number): number {
    return this.#counts[rank] ?? 0;
  }

  /** Keys given out and not done. */
  get processing(): number {
    return this.#processing.size;
  }

  /** Adds a key that is ready now. */
  add(key: string, rank: number): void {
    this.addAfter(key, rank, 0);
  }

  /** Adds a key that is ready after `delayMs`; of several adds the earliest time and the lowest rank count. */
  addAfter(key: string, rank: number, delayMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#merge(key, rank, nowMs + delayMs, Number.NEGATIVE_INFINITY);
  }

  /** Adds a key after a failure: it is not given out before `delayMs` have passed, however urgent later adds are. */
  requeueAfter(key: string, rank: number, delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#merge(key, rank, dueMs, dueMs);
  }

  /** Takes the next ready key; `done` must follow. Undefined when none is ready. */
  get(): { key: string; rank: number } | undefined {
    this.#promote();
    for (const level of this.#levels) {
      const item = level.take(this.#flow);
      if (!item) continue;
      this.#delete(item);
      this.#processing.add(item.key);
      return { key: item.key, rank: item.rank };
    }
    return undefined;
  }

  /** Ends the processing of a key; an add in the meantime makes it wait again. */
  done(key: string): void {
    this.#processing.delete(key);
    const parked = this.#parked.get(key);
    if (!parked) return;
    this.#parked.delete(key);
    this.#merge(key, parked.rank, parked.dueMs, parked.notBeforeMs);
  }

  /** Drops a waiting key. */
  forget(key: string): void {
    this.#parked.delete(key);
    const item = this.#items.get(key);
    if (!item) return;
    this.#unlink(item);
    this.#delete(item);
  }

  /** Rank of a waiting key, as added; undefined when it does not wait. */
  waitingRank(key: string): number | undefined {
    return (this.#items.get(key) ?? this.#parked.get(key))?.rank;
  }

  /** Milliseconds until a key is ready, 0 when one is; undefined when none waits. */
  waitMs(): number | undefined {
    this.#promote();
    if (this.#levels.some((level) => level.size > 0)) return 0;
    const dueMs = Math.min(...this.#delayed.map((heap) => heap.peek()?.dueMs ?? Number.POSITIVE_INFINITY));
    return dueMs === Number.POSITIVE_INFINITY ? undefined : dueMs - this.#clock.monotonicMs();
  }

  #merge(key: string, rank: number, dueMs: number, notBeforeMs: number): void {
    const place = this.#processing.has(key) ? this.#parked : this.#items;
    const known = place.get(key);
    const notBefore = Math.max(notBeforeMs, known?.notBeforeMs ?? notBeforeMs);
    const due = Math.max(notBefore, Math.min(dueMs, known?.dueMs ?? dueMs));
    const best = Math.min(rank, known?.rank ?? rank);
    if (known && due === known.dueMs && best === known.rank) return;
    // A waiting key keeps its age.
    if (known?.level !== undefined && known.level <= best && due <= known.dueMs) {
      this.#delete(known);
      known.rank = best;
      this.#set(known);
      return;
    }
    const item = { key, rank: best, dueMs: due, notBeforeMs: notBefore, level: undefined, levelSinceMs: 0 };
    if (place === this.#parked) {
      place.set(key, item);
      return;
    }
    if (known) {
      this.#unlink(known);
      this.#delete(known);
    }
    this.#set(item);
    this.#delayed[best]?.push(item);
    this.onAdd();
  }

  #set(item: Item): void {
    this.#items.set(item.key, item);
    this.#counts[item.rank] = this.waitingIn(item.rank) + 1;
  }

  #delete(item: Item): void {
    this.#items.delete(item.key);
    this.#counts[item.rank] = this.waitingIn(item.rank) - 1;
  }

  #unlink(item: Item): void {
    if (item.level === undefined) this.#delayed[item.rank]?.remove(item);
    else this.#levels[item.level]?.remove(item, this.#flow);
  }

  /** Moves due keys to their level, and promotes those that have waited; not more than VISITS_PER_STEP. */
  #promote(): void {
    const nowMs = this.#clock.monotonicMs();
    let left = VISITS_PER_STEP;
    for (const heap of this.#delayed) {
      for (let next = heap.peek(); next && next.dueMs <= nowMs && left > 0; next = heap.peek(), left--) {
        heap.remove(next);
        this.#enter(next, next.rank, next.dueMs);
      }
    }
    for (const [index, level] of this.#levels.entries()) {
      if (index === 0) continue;
      for (let item = level.oldest(); item && nowMs - item.levelSinceMs >= this.#ageMs; item = level.oldest()) {
        if (left-- <= 0) return;
        level.remove(item, this.#flow);
        this.#enter(item, index - 1, item.levelSinceMs + this.#ageMs);
      }
    }
  }

  #enter(item: Item, level: number, sinceMs: number): void {
    item.level = level;
    item.levelSinceMs = sinceMs;
    this.#levels[level]?.add(item, this.#flow);
  }
}

/** Ready keys of one rank: flows in turn, keys of a flow in order. */
class Level {
  readonly #flows = new Map<string, Map<string, Item>>();
  /** In the order of coming. */
  readonly #order = new Map<string, Item>();

  get size(): number {
    return this.#order.size;
  }

  add(item: Item, flow: (key: string) => string): void {
    const name = flow(item.key);
    const items = this.#flows.get(name);
    if (items) items.set(item.key, item);
    else this.#flows.set(name, new Map([[item.key, item]]));
    this.#order.set(item.key, item);
  }

  remove(item: Item, flow: (key: string) => string): void {
    const name = flow(item.key);
    const items = this.#flows.get(name);
    items?.delete(item.key);
    if (items?.size === 0) this.#flows.delete(name);
    this.#order.delete(item.key);
  }

  /** Takes the first key of the next flow in the rotation; that flow moves to the end. */
  take(flow: (key: string) => string): Item | undefined {
    const turn = this.#flows.entries().next().value;
    if (!turn) return undefined;
    const [name, items] = turn;
    const item = items.values().next().value as Item;
    this.#flows.delete(name);
    this.#flows.set(name, items);
    this.remove(item, flow);
    return item;
  }

  /** The key that has waited longest. */
  oldest(): Item | undefined {
    return this.#order.values().next().value;
  }
}
