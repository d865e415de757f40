// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { ReportedUntil } from "../../../src/report/reported-until.ts";
import { alert, formatTimeAt, START_US, violation } from "../../support/gen.ts";

const LAST_MS = 5000;

/** A report of two occurrences of one violation, of pod web-1; `isCut`: with another violation that is not listed. */
function report(isCut: boolean): Report {
  const { identity } = violation(alert());
  const times = { firstSeen: formatTimeAt(0), lastSeen: formatTimeAt(1000) };
  const pods = [{ name: "web-1", node: "node-1", occurrences: 2, lastSeen: formatTimeAt(1000) }];
  return {
    metadata: { name: "p", namespace: "shop" },
    summary: { occurrences: isCut ? 3 : 2, lastSeen: formatTimeAt(isCut ? LAST_MS : 1000) },
    violations: [{ id: "x", ...identity, occurrences: 2, ...times, pods }],
    ...(isCut ? { omitted: { violations: 1, occurrences: 1 } } : {}),
  } as unknown as Report;
}

describe("the time until which a report has alerts of a pod that its violation does not list", () => {
  const other = violation(alert({ PodName: "web-2" }));

  it("is none where the list is whole", () => {
    expect(new ReportedUntil(report(false), 10).until(other)).toBe(0);
  });

  it("is the report's where the list is cut: its writer may have counted them before it knew the pod's owner", () => {
    expect(new ReportedUntil(report(true), 10).until(other)).toBe(START_US + LAST_MS * 1000);
  });
});
