// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A report as JSON text. Invariant: the same bytes as JSON.stringify gives; a violation is serialized once, for its size
// and for every write that has it unchanged.

import type { Report, Violation } from "./v1alpha1.ts";

const texts = new WeakMap<Violation, string>();

/** Returns a violation as JSON; it must not be changed later. */
export function toViolationText(violation: Violation): string {
  let text = texts.get(violation);
  if (text === undefined) {
    text = JSON.stringify(violation);
    texts.set(violation, text);
  }
  return text;
}

/** Returns a report as JSON; its violations must not be changed later. */
export function toReportText(report: Report): string {
  const parts = Object.entries(report)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        `${JSON.stringify(key)}:${key === "violations" ? `[${report.violations.map(toViolationText).join(",")}]` : JSON.stringify(value)}`,
    );
  return `{${parts.join(",")}}`;
}
