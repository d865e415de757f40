// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import type { ReportBody } from "../../../src/api/v1alpha1.ts";
import { renderInSteps, renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, renderOptions, violation } from "../../support/gen.ts";

const VIOLATIONS = 300;

function add(ledger: Ledger, i: number, ms: number): void {
  const mods = {
    Operation: "File",
    Resource: `/etc/name-${"x".repeat(i % 7)}.${i}.conf`,
    UpdatedTime: formatTimeAt(ms),
  };
  ledger.add(violation(alert(mods)), true);
}

function renderBody(ledger: Ledger, meanwhile: () => void): { body: ReportBody; turns: number } {
  const steps = renderInSteps(ledger, renderOptions());
  for (let turns = 0; ; turns++) {
    const { done, value } = steps.next();
    if (done) return { body: value, turns };
    meanwhile();
  }
}

it("a report of 300 violations is made in steps, and ignores what comes between them", () => {
  const ledger = new Ledger("shop", "p");
  for (let i = 0; i < VIOLATIONS; i++) add(ledger, i, i);
  ledger.write.take();
  const whole = JSON.stringify(renderReport(ledger, renderOptions()));
  let came = 0;
  const { body, turns } = renderBody(ledger, () => {
    // Of violations that are in the report, and of others.
    for (let i = 0; i < 100; i++) add(ledger, (came * 37) % (2 * VIOLATIONS), 1000 + came++);
  });
  expect(body.violations.length).toBe(VIOLATIONS);
  // No step has more than 32 violations.
  expect(turns).toBeGreaterThanOrEqual(VIOLATIONS / 32 - 1);
  expect(JSON.stringify(body)).toBe(whole);
});
