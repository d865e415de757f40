// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Kept parts of an alert must not keep the alert itself: a text that was cut from a longer one holds all of that one
// in memory, in V8. So this test looks at the heap.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Alert } from "../../../src/api/alert.ts";
import { alert, violation } from "../../support/gen.ts";

const ALERTS = 100;
const TEXT_BYTES = 65_536;
/** 34 texts of at most 512 bytes, most of them twice. One text as it came would be more than the rest of this. */
const KEPT_BYTES = 60_000;
/** The mark of what was cut makes two bytes of each character. */
const CUT_BYTES = 90_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A text as a feed makes it: of its own, not a part of another. */
function copyText(text: string): string {
  return Buffer.from(text).toString("utf8");
}

/** Bytes kept of this number of alerts. */
function keep(length: number, text: (i: number) => string): unknown[] {
  return Array.from({ length }, (_, i) => {
    const mods: Record<string, string> = {};
    for (const [name, value] of Object.entries(alert())) if (typeof value === "string") mods[name] = copyText(text(i));
    const { source, timeUs, ...one } = violation(
      alert(mods as Partial<Alert>, { NamespaceName: "shop", Operation: "File" }),
    );
    return [one, source.keep(timeUs)];
  });
}

describe("violations kept of 100 alerts with 64 KB in every text", () => {
  it.each<[string, (i: number) => string, number]>([
    ["that are long", (i) => `/bin/x${i} `.padEnd(TEXT_BYTES, "a"), CUT_BYTES],
    ["that are long and not of one byte", (i) => `/bin/é${i} `.padEnd(TEXT_BYTES, "日"), KEPT_BYTES],
    ["that are short behind white space", (i) => `${" ".repeat(TEXT_BYTES)}/bin/a-name-of-its-own-${i}`, KEPT_BYTES],
    [
      "that are short in front of white space",
      (i) => `/bin/a-name-of-its-own-${i}`.padEnd(TEXT_BYTES, " "),
      KEPT_BYTES,
    ],
    ["that hold a secret", (i) => `/bin/x${i} --password `.padEnd(TEXT_BYTES, "s"), CUT_BYTES],
  ])("%s, take a small part of it", (_name, text, maxBytes) => {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const kept = keep(ALERTS, text);
    collectGarbage();
    const perAlert = (process.memoryUsage().heapUsed - before) / kept.length;
    expect(perAlert).toBeLessThan(maxBytes);
    expect(kept).toHaveLength(ALERTS);
  });
});
