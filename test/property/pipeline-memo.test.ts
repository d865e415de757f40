// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The short way of an alert, by what is remembered of one before, against the long way, which reads all of it: the same
// counts, the same rejections, the same reports, whatever the bytes.

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { loadSync } from "protobufjs";
import { describe, expect, it } from "vitest";
import { readAlert } from "../../src/alerts/protobuf-decoder.ts";
import { RawAlertReader } from "../../src/alerts/protobuf-scanner.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { AlertHash } from "../../src/ingest/alert-hash.ts";
import { DuplicateFilter } from "../../src/ingest/duplicates.ts";
import { Ingest } from "../../src/ingest/ingest.ts";
import { IngestCounters } from "../../src/ingest/ingest-counters.ts";
import { type HashDeciding, Memo, type MemoBounds, seededHash } from "../../src/ingest/memo.ts";
import { createRedactor } from "../../src/ingest/redact.ts";
import { at, hostileAlert, runs, START_US, throttleNotice, worldAlert, worldNotice } from "../support/gen.ts";
import { newAggregator, reportsOf } from "../unit/ingest/fold-alerts.ts";
import { wireAlert } from "./wire-alert.ts";

const root = loadSync(fileURLToPath(new URL("../../proto/kubearmor.proto", import.meta.url)));
const type = root.lookupType("feeder.Alert");
const redact = createRedactor();

function encode({ OwnerRef, OwnerName, OwnerNamespace, ExecID, ExecutableName, ...flat }: Alert): Buffer {
  const wire = {
    ...flat,
    Timestamp: Number.isSafeInteger(flat.Timestamp) ? flat.Timestamp : 0,
    ...Object.fromEntries(INT32.map((name) => [name, flat[name] | 0])),
    Owner: { Ref: OwnerRef, Name: OwnerName, Namespace: OwnerNamespace },
    ExecEvent: { ExecID, ExecutableName },
  };
  return Buffer.from(type.encode(type.fromObject(wire)).finish());
}

const INT32 = [
  "HostPID",
  "PPID",
  "PID",
  "UID",
  "HostPPID",
  "MaxAlertsPerSec",
  "DroppingAlertsInterval",
] as const;

/** What came of the messages. */
interface Outcome {
  counters: IngestCounters;
  told: unknown[];
  reports: Report[];
}

function outcomeOf(messages: readonly Buffer[], memo: Memo | undefined): Outcome {
  const aggregator = newAggregator();
  const counters = new IngestCounters();
  const told: unknown[] = [];
  const ingest = new Ingest({
    tally: () => aggregator,
    hash: new AlertHash({ low: 1, high: 2 }),
    duplicates: new DuplicateFilter({ windowMs: 60_000, maxEntries: 1000 }),
    memo: memo ?? new Memo({ maxEntries: 0, maxBytes: 0 }, () => 0),
    redact,
    counters,
    nowUs: () => START_US + 60_000_000,
    onRejected: (...what) => void told.push(what),
    onThrottled: (notice) => void told.push(notice),
  });
  const reader = new RawAlertReader();
  for (const message of messages) {
    const alert = reader.find(message) ? reader : readAlert(message);
    if (alert) ingest.alert(alert, 0);
    else ingest.rejected("invalid_wire", `${message.length}`, 0);
  }
  return { counters, told, reports: reportsOf(aggregator) };
}

/** What differs between two alerts of a violation. */
const volatile = fc.record({
  ms: fc.integer({ min: -61_000, max: 61_000 }),
  HostPID: fc.integer({ min: -1, max: 3 }),
  PID: fc.integer(),
  UID: fc.integer(),
  ContainerID: fc.constantFrom("", "c0ffee", "beef", "é"),
  Data: fc.constantFrom("", "syscall=SYS_OPEN", "token=hunter2"),
  Cwd: fc.constantFrom("", "/", "x".repeat(3000)),
  TTY: fc.constantFrom("", "pts0"),
  ExecID: fc.constantFrom("", "7", "x".repeat(200)),
  spelling: fc.constantFrom("", "", "", "seconds", "none", "odd"),
});

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

/** Overwrites, drops or inserts a few bytes. */
const damage = fc.record({
  at: fc.nat(),
  drop: fc.integer({ min: 0, max: 3 }),
  insert: fc.uint8Array({ maxLength: 3 }),
});

/** Alerts of which most repeat one of a few in all that decides, some of them damaged, cut in two or sent twice. */
const messages: fc.Arbitrary<Buffer[]> = fc
  .record({
    kinds: fc.array(fc.oneof(worldAlert(), worldAlert(), hostileAlert(), worldNotice()), {
      minLength: 1,
      maxLength: 4,
    }),
    others: fc.array(wireAlert, { maxLength: 2 }),
    steps: fc.array(
      fc.record({
        kind: fc.nat(),
        volatile,
        damage: rarely(damage),
        again: fc.boolean(),
        other: rarely(fc.nat()),
      }),
      { minLength: 1, maxLength: 25, size: "max" },
    ),
  })
  .map(({ kinds, others, steps }) =>
    steps.flatMap((step) => {
      const { ms, spelling, ...mods } = step.volatile;
      const UpdatedTime = { "": at(ms), seconds: at(ms).replace(/\.\d+Z$/, "+01:00"), none: "", odd: "soon" }[
        spelling
      ];
      let bytes = encode({ ...kinds[step.kind % kinds.length]!, ...mods, UpdatedTime: UpdatedTime ?? "" });
      const other = step.other === null ? undefined : others[step.other % others.length];
      // Two messages in a row are one, of which the later fields win.
      if (other) bytes = Buffer.concat([bytes, type.encode(type.fromObject(other)).finish()]);
      if (step.damage) {
        const place = step.damage.at % bytes.length;
        const { drop, insert } = step.damage;
        bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + drop)]);
      }
      return step.again ? [bytes, bytes] : [bytes];
    }),
  );

/** Counts what the memo knew. */
class CountingMemo extends Memo {
  found = 0;

  override find(...args: Parameters<Memo["find"]>): ReturnType<Memo["find"]> {
    const known = super.find(...args);
    if (known) this.found++;
    return known;
  }
}

describe("an alert by what is remembered of one before", () => {
  it.each<[string, MemoBounds, HashDeciding]>([
    ["with room for all", { maxEntries: 1000, maxBytes: 1_000_000 }, seededHash(7)],
    ["with room for a few", { maxEntries: 4, maxBytes: 2000 }, seededHash(-1)],
    ["where all hashes are the same", { maxEntries: 1000, maxBytes: 1_000_000 }, () => 0],
    ["where many hashes are the same", { maxEntries: 8, maxBytes: 10_000 }, (raw) => seededHash(1)(raw) & 1],
  ])("is what reading all of it makes of it, %s", (_name, bounds, hashOf) => {
    let found = 0;
    fc.assert(
      fc.property(messages, (list) => {
        const memo = new CountingMemo(bounds, hashOf);
        expect(outcomeOf(list, memo)).toEqual(outcomeOf(list, undefined));
        found += memo.found;
      }),
      runs(150),
    );
    expect(found).toBeGreaterThan(300);
  });

  it("is never a notice or a rejection: these are read each time", () => {
    const memo = new CountingMemo({ maxEntries: 1000, maxBytes: 1_000_000 }, seededHash(7));
    const notice = encode(throttleNotice());
    const unnamed = encode(throttleNotice({ Operation: "File" }));
    const { counters } = outcomeOf([notice, notice, unnamed, unnamed], memo);
    expect([memo.found, counters.throttleNotices, counters.rejected.no_policy]).toEqual([0, 2, 2]);
  });
});
