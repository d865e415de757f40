// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Evidence } from "../../../../src/api/v1alpha1.ts";
import { PackedEvidence } from "../../../../src/ingest/evidence/packed-evidence.ts";

const US = 1_795_428_000_000_001;
const TIME = "2026-11-23T10:00:00.000001Z";

describe("packed evidence", () => {
  it.each<[string, Evidence]>([
    ["of nothing but its time", { time: TIME }],
    ["of an alert", { time: TIME, pod: "web-1", process: "/bin/a", pid: 4, uid: 0, command: "/bin/a -x" }],
    ["with hashes", { time: TIME, hashes: { algorithm: "sha256", process: "ab" } }],
    ["with an odd time, as a person may write it", { time: "2026-11-23T10:00:00Z", pid: 1 }],
    ["with texts of two bytes a character", { time: TIME, pod: "日本", command: `${"a".repeat(99)}… 😀 é` }],
    ["with quotes and backslashes", { time: TIME, source: "\\…", data: '"\\u2026"' }],
  ])("%s is unpacked as it was", (_name, evidence) => {
    expect(JSON.stringify(new PackedEvidence(US, evidence).read())).toBe(JSON.stringify(evidence));
  });

  it("keeps what a later version may have added, in any order", () => {
    const later = { newField: [1], pid: 4, pod: "web-1", time: TIME } as unknown as Evidence;
    expect(JSON.stringify(new PackedEvidence(US, later).read())).toBe(
      JSON.stringify({ time: TIME, pod: "web-1", pid: 4, newField: [1] }),
    );
  });

  it("weighs what it shares once, and again with the next one when the first leaves", () => {
    const labels = "l".repeat(1000);
    const [a, b] = [1, 2].map((pid) => new PackedEvidence(US, { time: TIME, labels, pid }));
    const first = a?.weight ?? 0;
    expect(first).toBeGreaterThan(1000);
    expect(b?.weight).toBeLessThan(300);
    a?.leave();
    expect(b?.weight).toBe(first);
    expect(a?.weight).toBeLessThan(300);
  });
});
