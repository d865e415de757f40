// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Evidence that was read once and is seldom needed: packed, since every violation has one.
// Invariant: unpacking gives the packed evidence. Fields that alerts of a container share are in memory once.

import { EVIDENCE_ORDER } from "../../api/evidence-order.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import { TextPool } from "../../lib/collections/text-pool.ts";
import { type EpochUs, formatMicroTime } from "../../lib/time.ts";

/** Fields in which alerts of one container usually differ, in the order in which they are packed. */
const OWN = [
  "time",
  "process",
  "command",
  "source",
  "resource",
  "pid",
  "ppid",
  "hostPid",
  "hostPpid",
  "execId",
  "execName",
  "parent",
  "data",
  "hashes",
] as const satisfies readonly (keyof Evidence)[];
const IS_OWN: ReadonlySet<string> = new Set(OWN);

/** The rest as JSON. */
interface Common {
  readonly json: string;
  /** True where its bytes are counted by its owner. */
  isCounted: boolean;
}

/** About as many as the containers with alerts at one time. */
const COMMONS = new TextPool<Common>(4096, (json) => ({ json, isCounted: false }));

/** The objects around the texts; measured on Node 24. */
const PACKED_BYTES = 110;
const COMMON_BYTES = 130;

export class PackedEvidence {
  readonly timeUs: EpochUs;
  readonly #common: Common;
  readonly #own: string;
  #countsCommon = false;

  constructor(timeUs: EpochUs, evidence: Evidence) {
    this.timeUs = timeUs;
    const common: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(evidence)) if (!IS_OWN.has(name)) common[name] = value;
    const own: unknown[] = OWN.map((name) => evidence[name] ?? null);
    if (evidence.time === formatMicroTime(timeUs)) own[0] = null;
    while (own.at(-1) === null) own.pop();
    this.#own = compact(own);
    this.#common = COMMONS.get(compact(common));
  }

  read(): Evidence {
    const values: Record<string, unknown> = { time: formatMicroTime(this.timeUs), ...JSON.parse(this.#common.json) };
    for (const [i, value] of (JSON.parse(this.#own) as unknown[]).entries()) {
      if (value !== null) values[OWN[i] as string] = value;
    }
    const ordered: Record<string, unknown> = {};
    for (const name of EVIDENCE_ORDER) if (name in values) ordered[name] = values[name];
    return Object.assign(ordered, values) as unknown as Evidence;
  }

  share(): void {}

  leave(): void {
    if (this.#countsCommon) this.#common.isCounted = false;
    this.#countsCommon = false;
  }

  /** Shared fields are counted by one of their sharers. */
  get weight(): number {
    if (!this.#common.isCounted) this.#common.isCounted = this.#countsCommon = true;
    return PACKED_BYTES + size(this.#own) + (this.#countsCommon ? COMMON_BYTES + size(this.#common.json) : 0);
  }
}

const ONE_BYTE = /^[\0-\xff]*$/;
const TWO_BYTES = /[^\0-\xff]/g;

/** Compact JSON: V8 keeps a text in one byte per character, or in two where any character needs it. */
function compact(value: unknown): string {
  const json = JSON.stringify(value);
  if (ONE_BYTE.test(json)) return json;
  const escaped = json.replace(TWO_BYTES, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return escaped.length < 2 * json.length ? escaped : json;
}

function size(text: string): number {
  return ONE_BYTE.test(text) ? text.length : 2 * text.length;
}
