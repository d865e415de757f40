// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Regarding } from "../../../src/events/event-recorder.ts";
import {
  createEventName,
  findEventNamespace,
  fitEventNote,
  toEventAction,
  toEventReason,
} from "../../../src/events/naming.ts";
import { checkAll } from "../../support/gen.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 10);

function createPod(name: string): Regarding {
  return { kind: "Pod", namespace: "shop", name };
}

describe("the name", () => {
  test("is the object's, a dot, and hex of time and chance", () => {
    expect(createEventName(createPod("web-0"), NOW_MS, 0)).toBe("web-0.1a207d9210000000000");
    expect(createEventName(createPod("web-0"), NOW_MS, 0.999_999_999_9)).toBe("web-0.1a207d92100ffffffff");
    expect(createEventName({ kind: "Node", name: "node1.example" }, NOW_MS, 0.5)).toBe(
      "node1.example.1a207d9210080000000",
    );
  });

  test.each(["", "Web", "a_b", "-a", "a..b", "ü"])("of %j, which is not a legal name, begins with the kind", (name) => {
    expect(createEventName(createPod(name), NOW_MS, 0)).toBe("pod.1a207d9210000000000");
  });

  test("is always a DNS subdomain of at most 253 characters", () => {
    const legal = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
    const names = fc.oneof(
      fc.string({ unit: fc.constantFrom("a", "-", ".", "9"), minLength: 1, maxLength: 300 }),
      fc.string({ maxLength: 300 }),
    );
    checkAll(100, [names, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })], (name, random) => {
      const result = createEventName(createPod(name), NOW_MS, random);
      expect(result).toMatch(legal);
      expect(result.length).toBeLessThanOrEqual(253);
    });
  });
});

test("a node's Events live in default, a pod's in its namespace", () => {
  expect(findEventNamespace({ kind: "Node", name: "n" })).toBe("default");
  expect(findEventNamespace(createPod("p"))).toBe("shop");
});

test.each([
  ["Prevented", "PolicyViolationPrevented"],
  ["Allowed", "PolicyViolationAllowed"],
  ["Unknown", "PolicyViolation"],
  ["Throttled", "AlertsThrottled"],
] as const)("the reason of %s is %s", (outcome, reason) => {
  expect(toEventReason({ outcome })).toBe(reason);
});

test.each([
  ["Block", "Process", "BlockProcess"],
  ["Audit (Block)", "File", "AuditBlockFile"],
  ["Audit", "Network", "AuditNetwork"],
  ["block", "process", "BlockProcess"],
  ["", "Syscall", "Syscall"],
  ["", "", "Report"],
  ["Блок", "2", "Report"],
  ["A".repeat(100), "B".repeat(100), "A".repeat(100) + "B".repeat(28)],
])("the action of %j and %j is %j", (action, operation, expected) => {
  expect(toEventAction({ outcome: "Prevented", action, operation })).toBe(expected);
});

test("the action of a throttle notice is Throttle", () => {
  expect(toEventAction({ outcome: "Throttled", action: "", operation: "AlertThreshold" })).toBe("Throttle");
});

test.each([
  ["short", "short"],
  ["x".repeat(1024), "x".repeat(1024)],
  ["x".repeat(1025), `${"x".repeat(1021)}…`],
  ["é".repeat(513), `${"é".repeat(510)}…`],
  ["💥".repeat(300), `${"💥".repeat(255)}…`],
])("the note is at most 1,024 bytes, cut between characters (%#)", (note, expected) => {
  expect(fitEventNote(note)).toBe(expected);
});
