// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Exact duplicates, as ingest recognizes them: on the wire by every byte, in JSON by every field.

import { describe, expect, it } from "vitest";
import { RawAlertReader } from "../../../src/alerts/decoding/protobuf-scanner.ts";
import type { Alert } from "../../../src/api/alert.ts";
import { AlertHash } from "../../../src/ingest/cells/alert-hash.ts";
import type { IngestCounters } from "../../../src/ingest/ingest-counters.ts";
import { alert, formatTimeAt, START_MS, START_US } from "../../support/gen.ts";
import { createIngest, toWire } from "../../support/ingest-bed.ts";

const MICROS = "2026-11-23T10:00:00.000001Z";

/** Feeds alerts in one of the two forms. */
function ingestAll(form: "wire" | "JSON", alerts: readonly Alert[], stepUs = 0): IngestCounters {
  let nowUs = START_US;
  const { ingest, counters } = createIngest({ nowUs: () => nowUs });
  const reader = new RawAlertReader();
  for (const each of alerts) {
    if (form === "JSON") ingest.alert(each, 0);
    else {
      expect(reader.find(toWire(each))).toBe(true);
      ingest.alert(reader, 0);
    }
    nowUs += stepUs;
  }
  return counters;
}

describe.each(["wire", "JSON"] as const)("exact duplicates in %s", (form) => {
  it("are equal in everything, with a time of microseconds", () => {
    const twice = [alert({ UpdatedTime: MICROS }), alert({ UpdatedTime: MICROS })];
    expect(ingestAll(form, twice)).toMatchObject({ counted: 1, duplicates: 1 });
    // A fraction of zero is one as well.
    expect(ingestAll(form, [alert(), alert()])).toMatchObject({ counted: 1, duplicates: 1 });
  });

  it.each<[string, Partial<Alert>]>([
    ["node", { HostName: "node-2" }],
    ["container", { ContainerID: "other" }],
    ["host pid", { HostPID: 1 }],
    ["pid", { PID: 7 }],
    ["time", { UpdatedTime: formatTimeAt(1) }],
    ["spelling of the time", { UpdatedTime: "2026-11-23T10:00:00.000001000Z" }],
    ["operation", { Operation: "File" }],
    ["resource", { Resource: "/usr/bin/apt upgrade" }],
    ["policy", { PolicyName: "other" }],
    ["source", { Source: "/bin/dash" }],
    ["action", { Action: "Audit" }],
    ["result", { Result: "Passed" }],
    ["message", { Message: "other" }],
    ["data", { Data: "fd=4" }],
    ["tags", { ATags: ["NIST"] }],
  ])("do not differ in the %s", (_name, mods) => {
    const pair = [alert({ UpdatedTime: MICROS }), alert({ UpdatedTime: MICROS, ...mods })];
    expect(ingestAll(form, pair)).toMatchObject({ counted: 2, duplicates: 0 });
    expect(ingestAll(form, pair.toReversed())).toMatchObject({ counted: 2, duplicates: 0 });
  });

  it.each([
    ["", START_MS / 1000],
    ["", 0],
    ["2026-11-23T10:00:00Z", 0],
    ["2026-11-23T10:00:00.123Z", 0],
    ["2999-11-23T10:00:00.123456Z", 0],
    ["soon", START_MS / 1000],
  ])("never have a time of %j: equal alerts may be of two events", (UpdatedTime, Timestamp) => {
    const same = alert({ UpdatedTime, Timestamp });
    expect(ingestAll(form, [same, same, same])).toMatchObject({ counted: 3, duplicates: 0 });
  });

  it("are recognized by their own time where that is too far ahead to be believed", () => {
    const ahead = alert({ UpdatedTime: formatTimeAt(3_600_000) });
    expect(ingestAll(form, [ahead, ahead], 1_000_000)).toMatchObject({ counted: 1, duplicates: 1 });
  });

  it("are recognized within the window", () => {
    const same = Array<Alert>(6).fill(alert());
    // Every 30 s: the window is a minute, and at most two.
    expect(ingestAll(form, same.slice(0, 4), 30_000_000)).toMatchObject({ counted: 1, duplicates: 3 });
    expect(ingestAll(form, same, 30_000_000)).toMatchObject({ counted: 2, duplicates: 4 });
  });

  it("are not confused by long texts that differ at their ends", () => {
    const [a, b] = ["a", "b"].map((end) => alert({ Resource: "x".repeat(100_000) + end }));
    expect(ingestAll(form, [a!, b!, a!])).toMatchObject({ counted: 2, duplicates: 1 });
  });
});

describe("the hash of an alert", () => {
  it("depends on every byte, and on where pieces begin", () => {
    const hash = new AlertHash({ low: 1, high: 2 });
    const reader = new RawAlertReader();
    const seen = new Map<string, string>();
    const look = (bytes: Buffer) => {
      if (!reader.find(bytes)) return;
      hash.hashRaw(reader);
      const found = `${hash.content.low} ${hash.content.high}`;
      expect(seen.get(found) ?? bytes.toString("hex")).toBe(bytes.toString("hex"));
      seen.set(found, bytes.toString("hex"));
    };
    const original = toWire(alert({ Data: "fd=3", Cwd: "/" }));
    look(original);
    for (let i = 0; i < original.length; i++) {
      for (const bit of [1, 0x80]) {
        const changed = Buffer.from(original);
        changed[i]! ^= bit;
        look(changed);
      }
    }
    expect(seen.size).toBeGreaterThan(original.length);
  });

  it("depends on the key", () => {
    const kinds = [0, 1].map((low) => {
      const hash = new AlertHash({ low, high: 2 });
      hash.hashDecoded(alert());
      return hash.content;
    });
    expect(kinds[0]).not.toEqual(kinds[1]);
  });
});
