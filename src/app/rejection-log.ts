// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Logs alerts that could not be counted.
// Invariant: a broken sender can't fill the log.

import type { Logger } from "../lib/logger.ts";

/** Logs the first rejection of each reason, then each power of ten: a broken sender must not fill the log. */
export function logRejections(logger: Logger): (reason: string, detail: string) => void {
  const counts = new Map<string, number>();
  return (reason, detail) => {
    const count = (counts.get(reason) ?? 0) + 1;
    counts.set(reason, count);
    if (Number.isInteger(Math.log10(count))) {
      logger.warn({ reason, detail, count }, "alert rejected");
    }
  };
}
