// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Arguments of `npm run bench`.

import { parseArgs } from "node:util";

export interface BenchArguments {
  readonly quick: boolean;
  /** Names of scenarios; empty for all. */
  readonly only: readonly string[];
  /** Path of the page; undefined when it is only printed. */
  readonly out: string | undefined;
  /** Date on the page; undefined for the clock's. */
  readonly date: string | undefined;
}

export const DEFAULT_OUT = "bench/RESULTS.md";

export function describeUsage(names: readonly string[]): string {
  return `usage: npm run bench -- [options]
  --quick        small counts, at most two minutes; only prints
  --only NAME    one scenario (may be given more than once): ${names.join(", ")}; only prints
  --out FILE     where the results are written (${DEFAULT_OUT} for a whole run)
  --date TEXT    the day that the results are dated
Ends with 1 when something could not be measured for an error, never because something is slow.`;
}

/** Reads the arguments; throws an Error that says what is wrong with them. */
export function parseBenchArguments(argv: readonly string[], names: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      out: { type: "string" },
      date: { type: "string" },
    },
  });
  const unknown = values.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Error(`--only ${unknown.join(", ")}: no such scenario; there are ${names.join(", ")}`);
  }
  const isWhole = !values.quick && values.only.length === 0;
  return {
    quick: values.quick,
    only: values.only,
    out: values.out ?? (isWhole ? DEFAULT_OUT : undefined),
    date: values.date,
  };
}
