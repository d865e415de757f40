// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode } from "../../src/ingest/decode.ts";
import { toEvidence } from "../../src/ingest/evidence/evidence.ts";
import { createRedactor } from "../../src/ingest/evidence/redact.ts";
import { type Decoded, identityKey } from "../../src/ingest/violation/violation.ts";
import { generateHostileAlert } from "../support/alert-generators.ts";
import { checkAll, renderOptions, START_US } from "../support/gen.ts";
import { add, createAggregator, renderReports } from "../unit/ingest/fold-alerts.ts";
import { findFaults } from "../unit/report/report-check.ts";

const redact = createRedactor();
const violations = generateHostileAlert()
  .map((alert) => ({ alert, decoded: decode(alert, START_US, redact) }))
  .filter(({ decoded }) => decoded.kind === "violation")
  .map(({ alert, decoded }) => {
    const { violation, timeUs } = decoded as Extract<Decoded, { kind: "violation" }>;
    const evidence = toEvidence(alert, timeUs, redact);
    return { ...violation, timeUs, evidence };
  });

describe("decode", () => {
  it("takes any alert for one of three things, and never throws", () => {
    const seen = { violation: 0, throttle: 0, rejected: 0 };
    checkAll(3000, [generateHostileAlert()], (alert) => {
      const decoded = decode(alert, START_US, redact);
      seen[decoded.kind]++;
      expect(decoded.kind === "rejected").toBe(alert.PolicyName.trim() === "" && alert.Operation !== "AlertThreshold");
    });
    // The generator reaches all three.
    expect(Object.values(seen).every((n) => n > 0)).toBe(true);
  });

  it("leaves nothing raw in a violation, its key or a notice", () => {
    checkAll(2000, [generateHostileAlert()], (alert) => {
      const decoded = decode(alert, START_US, redact);
      for (const text of collectTexts([decoded, toEvidence(alert, START_US, redact)])) {
        // The two separators of keys are the only control characters.
        expect(text.replace(/[\u001e\u001f]/g, "")).not.toMatch(/[\p{C}\u2028\u2029]/u);
        expect(text.isWellFormed()).toBe(true);
      }
    });
  });

  it("gives times that are whole and after the epoch, and not far ahead of the arrival", () => {
    checkAll(1000, [violations], ({ timeUs, evidence }) => {
      expect(Number.isSafeInteger(timeUs)).toBe(true);
      expect(timeUs).toBeGreaterThan(0);
      expect(timeUs).toBeLessThanOrEqual(START_US + 300_000_000);
      expect(evidence.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    });
  });

  it("keeps every part within its bound", () => {
    checkAll(1000, [violations], ({ key, policy, identity }) => {
      // An unresolved container is two parts, a pod and an id.
      expect(key.length).toBeLessThanOrEqual(12 * 513);
      expect(policy.tags.length).toBeLessThanOrEqual(50);
      const { unresolved = "", ...parts } = identity;
      expect(Buffer.byteLength(unresolved)).toBeLessThanOrEqual(2 * 512 + 1);
      for (const text of collectTexts([parts, policy])) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(512);
    });
  });
});

describe("a violation's key", () => {
  it("is the same for two identities only when they are the same", () => {
    checkAll(1000, [violations, violations], ({ identity: a }, { identity: b }) => {
      expect(identityKey(a) === identityKey(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    });
  });

  it("does not run its parts together", () => {
    const parts = fc.array(fc.constantFrom("", "a", "b", "ab", " "), { minLength: 10, maxLength: 10 });
    const identity = parts.map(([operation, verb, action, kind, name, container, source, resource, namespace]) => ({
      operation: operation as string,
      verb: verb as string,
      action: action as string,
      outcome: "Unknown" as const,
      workload: { kind: kind as string, name: name as string },
      container: container as string,
      source: source as string,
      resource: resource as string,
      namespace: namespace as string,
    }));
    checkAll(2000, [identity, identity], (a, b) => {
      expect(identityKey(a) === identityKey(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    });
  });
});

it("reports of hostile alerts fit the schema, are safe and add up with any limits", () => {
  const limits = fc.constantFrom(
    {},
    { maxViolations: 2 },
    { maxBytes: 32_768 },
    { maxBytes: 4096, maxPodsPerViolation: 1 },
  );
  checkAll(400, [fc.array(generateHostileAlert(), { minLength: 1, maxLength: 30 }), limits], (alerts, mods) => {
    const aggregator = createAggregator();
    const counted = alerts.filter((alert) => add(aggregator, alert) === "violation").length;
    const reports = renderReports(aggregator, renderOptions(mods));
    expect(reports.flatMap(findFaults)).toEqual([]);
    expect(reports.reduce((sum, { summary }) => sum + summary.occurrences, 0)).toBe(counted);
    // No two reports of a scope share a name.
    const names = reports.map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

/** Every string in a value. */
function collectTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(collectTexts);
}
