// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Lapses: what is known to be missing from the numbers, when, and why.
// Invariant: merging two lists is associative, commutative and idempotent, and the result is bounded; what leaves the
// list stays in the counts.

import type { Lapse as ApiLapse, LapseKind } from "../api/v1alpha1.ts";
import { type EpochUs, formatMicroTime, parseMicroTime } from "./time.ts";

/** The kinds that are times in which nobody read for this report; each counts in `coverage.gaps`. */
export const GAP_KINDS = [
  "StreamDown",
  "StreamEnded",
  "Stalled",
  "NotRunning",
  "Handover",
  "JournalUnavailable",
] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/** One lapse. Two with the same kind, beginning and place are the same one, known at two times. */
export interface Lapse {
  kind: LapseKind;
  fromUs: EpochUs;
  /** Undefined while it lasts. */
  toUs: EpochUs | undefined;
  container: string;
  pod: string;
  node: string;
  /** Alerts that it is about; 0 where nobody knows how many. */
  count: number;
}

/** Lapses that are told one by one, the newest; older ones are in the counts only. */
export const MAX_LAPSES = 10;

/** A lapse of the kind from `fromUs` on; all else is empty unless given. */
export function lapse(
  kind: LapseKind,
  fromUs: EpochUs,
  details: Partial<Omit<Lapse, "kind" | "fromUs">> = {},
): Lapse {
  return { kind, fromUs, toUs: undefined, container: "", pod: "", node: "", count: 0, ...details };
}

/** The newest lapses of both lists, the newest first. */
export function mergeLapses(a: readonly Lapse[], b: readonly Lapse[]): readonly Lapse[] {
  if (b.length === 0) return a;
  if (a.length === 0 && b.length === 1) return b;
  const known = new Map<string, Lapse>();
  for (const each of [...a, ...b]) {
    const key = keyOf(each);
    const same = known.get(key);
    known.set(key, same ? grown(same, each) : each);
  }
  return [...known.values()].sort(byNewest).slice(0, MAX_LAPSES);
}

/** As users see it. */
export function renderLapse({ kind, fromUs, toUs, container, pod, node, count }: Lapse): ApiLapse {
  return {
    kind,
    from: formatMicroTime(fromUs),
    ...(toUs === undefined
      ? {}
      : { to: formatMicroTime(toUs), seconds: Math.ceil((toUs - fromUs) / 1_000_000) }),
    ...(container === "" ? {} : { container }),
    ...(pod === "" ? {} : { pod }),
    ...(node === "" ? {} : { node }),
    ...(count === 0 ? {} : { count }),
  };
}

/** Reads back what renderLapse wrote; undefined for what has no time. */
export function parseLapse(text: ApiLapse): Lapse | undefined {
  const fromUs = parseMicroTime(text.from);
  if (fromUs === undefined) return undefined;
  const { kind, container = "", pod = "", node = "", count = 0 } = text;
  return lapse(kind, fromUs, {
    toUs: text.to === undefined ? undefined : parseMicroTime(text.to),
    container,
    pod,
    node,
    count,
  });
}

/** A run of single losses of one kind, told as one lapse; a quiet time of this length ends it. */
const QUIET_US = 60_000_000;

/** Gathers losses one by one, so that a flood of them is one lapse with a count. */
export class Episode {
  readonly #kind: LapseKind;
  #lapse: Lapse | undefined;
  #untold = false;

  constructor(kind: LapseKind) {
    this.#kind = kind;
  }

  add(us: EpochUs, count = 1): void {
    const current = this.#lapse;
    if (!current || us > (current.toUs ?? current.fromUs) + QUIET_US) {
      this.#lapse = lapse(this.#kind, us, { toUs: us, count });
    } else {
      current.count += count;
      if (us > (current.toUs ?? us)) current.toUs = us;
    }
    this.#untold = true;
  }

  /** The lapse as it is now, if it has grown since it was last taken. */
  take(): readonly Lapse[] {
    if (!this.#untold || !this.#lapse) return [];
    this.#untold = false;
    return [{ ...this.#lapse }];
  }
}

function keyOf({ kind, fromUs, container, pod, node }: Lapse): string {
  return [kind, fromUs, container, pod, node].join("\u001f");
}

/** What is known of one lapse from two tellings: it has ended if one says so, and the later number is the larger one. */
function grown(a: Lapse, b: Lapse): Lapse {
  const toUs = a.toUs === undefined || b.toUs === undefined ? (a.toUs ?? b.toUs) : Math.max(a.toUs, b.toUs);
  return { ...a, toUs, count: Math.max(a.count, b.count) };
}

function byNewest(a: Lapse, b: Lapse): number {
  if (a.fromUs !== b.fromUs) return b.fromUs - a.fromUs;
  const [x, y] = [keyOf(a), keyOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
