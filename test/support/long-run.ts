// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tests that are short in the suites and long with `npm run soak`: vitest.soak.config.ts sets how long.

export const isLongRun = process.env["SOAK"] !== undefined;

/** Prints what a long run found. */
export function printFigures(figures: object): void {
  if (isLongRun) process.stdout.write(`${JSON.stringify(figures)}\n`);
}
