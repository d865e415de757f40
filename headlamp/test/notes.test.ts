// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { findForSubject } from "../src/model/findings.ts";
import { describeFindings, describeLimits, describeNone } from "../src/model/notes.ts";
import { createReport, createViolation } from "./reports.ts";

const FORBIDDEN = { resource: "policyviolationreports", status: 403, message: "forbidden", namespace: "shop" };
const CUT = createReport([createViolation()], { omitted: { violations: 12, occurrences: 40 } });

test("a page over complete reports has no note", () => {
  const heartbeat = { state: "alive", holder: "operator-0" } as const;
  expect(describeLimits([createReport([createViolation()])], [], heartbeat)).toEqual([]);
});

test("a page names failed requests, an operator that may not run, cut lists and lower bounds", () => {
  const less = createReport([], { coverage: { gaps: 1, throttleNotices: 0, lowerBound: true } });
  const notes = describeLimits([CUT, less], [FORBIDDEN], { state: "unknown", why: "no Lease" });
  expect(notes).toHaveLength(4);
  expect(notes[0]).toContain("may not list policyviolationreports in namespace shop");
  expect(notes[1]).toContain("unknown if the operator is running: no Lease");
  expect(notes[2]).toContain("12 violations with 40 occurrences are only in the totals");
  expect(notes[3]).toContain("1 report");
});

test("a user without rights in all namespaces learns where to name those of the user's own", () => {
  const { namespace: _, ...everywhere } = FORBIDDEN;
  expect(describeLimits([], [everywhere], undefined)[0]).toContain("allowed namespaces");
});

test("missing CRDs are named as such, other errors in their own words", () => {
  const describe = (status: number | undefined) =>
    describeLimits([], [{ resource: "x", message: "the reason", ...(status ? { status } : {}) }], undefined)[0];
  expect(describe(404)).toContain("CRDs");
  expect(describe(500)).toContain("the reason");
  expect(describe(undefined)).toContain("the reason");
});

test("an empty list is not a proof of absence", () => {
  const none = { reports: [], errors: [] };
  const texts = [
    describeNone(none),
    describeNone({ ...none, errors: [FORBIDDEN] }),
    describeNone({ reports: [CUT], errors: [] }),
    describeNone({ reports: [CUT], errors: [FORBIDDEN] }),
  ];
  expect(new Set(texts).size).toBe(4);
  expect(texts[1]).toMatch(/^Unknown/);
  expect(texts[2]).toContain("cut");
  expect(texts[3]).toContain("could be read");
});

test("the section of a pod says what may concern it", () => {
  const pod = { kind: "Pod", name: "web-7", namespace: "shop" };
  expect(describeFindings(findForSubject([createReport([createViolation()])], pod), pod)).toEqual([]);
  const report = createReport([createViolation({ occurrences: 90 })], { omitted: { violations: 1, occurrences: 2 } });
  const notes = describeFindings(findForSubject([report], pod), pod);
  expect(notes).toHaveLength(2);
  expect(notes[0]).toContain("cut (shop/no-shells)");
  expect(notes[1]).toContain("1 violation here does not list all pods");
});
