// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { reportName } from "../../../../src/ingest/violation/report-name.ts";
import { sanitize } from "../../../../src/lib/sanitize.ts";
import { generateHostileText } from "../../../support/alert-generators.ts";
import { checkAll } from "../../../support/gen.ts";

const DNS = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

describe("the name of a report", () => {
  it.each([
    "harden-wordpress-pkg-mngr-exec",
    "a",
    "0",
    "a.b-c.d",
    "a".repeat(253),
    "kube-system",
    // Dates and counters are not hashes.
    "audit-20260101",
    "audit-12345678",
    "x-deadbeef9",
    "x-deadbee",
    "deadbeef",
  ])("is the policy's: %s", (policy) => {
    expect(reportName(policy)).toBe(policy);
  });

  it.each([
    ["Block Everything!", "block-everything"],
    // Taken by DefaultPosture.
    ["default-posture", "default-posture"],
    ["../x", "x"],
    ["..", "policy"],
    ["/", "policy"],
    ["", "policy"],
    ["日本", "policy"],
    ["a_b", "a-b"],
    ["-a-", "a"],
    ["a..b", "a-b"],
    ["UPPER", "upper"],
    ["taken-deadbeef", "taken-deadbeef"],
  ])("of %j is %s and a hash", (policy, slug) => {
    expect(reportName(policy)).toMatch(new RegExp(`^${slug}-(?=[0-9]*[a-f])[0-9a-f]{8}$`));
  });

  it("of DefaultPosture is default-posture", () => {
    expect(reportName("DefaultPosture")).toBe("default-posture");
  });

  it("stays what it is: people and scripts know it", () => {
    expect(reportName("Block Everything!")).toBe("block-everything-b9c0bcf4");
    expect(reportName("default-posture")).toBe("default-posture-8de05710");
    // Its hash begins with 42410642, which could be a date.
    expect(reportName("Policy 5")).toBe("policy-5-1d2b47c8");
    expect(reportName("../x")).toBe("x-d6b96a97");
  });

  it("is bounded, however long the policy's", () => {
    for (const length of [254, 300, 10_000]) {
      expect(reportName("a".repeat(length))).toMatch(/^a{200}-[0-9a-f]{8}$/);
      expect(reportName("-".repeat(length))).toMatch(/^policy-[0-9a-f]{8}$/);
    }
    expect(reportName(`${"a".repeat(300)}1`)).not.toBe(reportName(`${"a".repeat(300)}2`));
  });

  it("is not what a policy could be named to get another's report", () => {
    for (const policy of ["Foo", "default-posture", "x".repeat(300), "a_b"]) {
      const made = reportName(policy);
      expect(reportName(made)).not.toBe(made);
      expect(reportName(reportName(made))).not.toBe(reportName(made));
    }
  });

  it("is always a legal name, and different for different policies", () => {
    checkAll(
      3000,
      [generateHostileText().map((text) => sanitize(text)), generateHostileText().map((text) => sanitize(text))],
      (a, b) => {
        const name = reportName(a);
        expect(name).toMatch(DNS);
        expect(name.length).toBeLessThanOrEqual(253);
        expect(name === reportName(b)).toBe(a === b);
      },
    );
  });
});
