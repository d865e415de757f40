// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The quick way of an alert, counted in the cell of its kind, against the thorough way, which reads all of it: the same
// counts, the same rejections, the same reports, for any bytes.

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { loadSync } from "protobufjs";
import { describe, expect, it } from "vitest";
import { readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import { RawAlertReader } from "../../src/alerts/decoding/protobuf-scanner.ts";
import type { Alert, RawAlert } from "../../src/api/alert.ts";
import type { Report, ReportBody } from "../../src/api/v1alpha1.ts";
import { AlertHash } from "../../src/ingest/cells/alert-hash.ts";
import { type CellBounds, CellStore } from "../../src/ingest/cells/cell-store.ts";
import { createRedactor } from "../../src/ingest/evidence/redact.ts";
import type { IngestCounters } from "../../src/ingest/ingest-counters.ts";
import { renderReport } from "../../src/report/render.ts";
import { generateHostileAlert, generateWorldAlert, generateWorldNotice } from "../support/alert-generators.ts";
import { checkAll, formatTimeAt, renderOptions, START_US, throttleNotice } from "../support/gen.ts";
import { createIngest } from "../support/ingest-bed.ts";
import { renderReports } from "../unit/ingest/fold-alerts.ts";
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

const INT32 = ["HostPID", "PPID", "PID", "UID", "HostPPID", "MaxAlertsPerSec", "DroppingAlertsInterval"] as const;

/** Outcome of the messages. */
interface Outcome {
  counters: IngestCounters;
  others: unknown[];
  /** With what was taken while alerts went on. */
  reportsBefore: ReportBody[];
  reports: Report[];
}

/** Counts alerts that were counted in a cell, and may know none. */
class CountingStore extends CellStore {
  counted = 0;
  readonly #isForgetful: boolean;

  constructor(bounds: CellBounds, isForgetful = false) {
    super(bounds, redact);
    this.#isForgetful = isForgetful;
  }

  override find(...args: Parameters<CellStore["find"]>): number {
    const cell = super.find(...args);
    if (this.#isForgetful) return 0;
    if (cell !== 0 && this.isOwned(cell)) this.counted++;
    return cell;
  }
}

/** A hash of which only some bits are used. */
class PoorHash extends AlertHash {
  readonly #mask: number;

  constructor(mask: number) {
    super({ low: 7, high: -1 });
    this.#mask = mask;
  }

  override hashRaw(raw: RawAlert): void {
    super.hashRaw(raw);
    this.kind.low &= this.#mask;
    this.kind.high &= this.#mask;
  }
}

const ROOMY = { maxCells: 1000, maxBytes: 10_000_000 };

function toOutcome(messages: readonly Buffer[], cells: CellStore, hash: AlertHash, takesAt?: number): Outcome {
  const others: unknown[] = [];
  const { aggregator, counters, ingest } = createIngest({
    cells,
    hash,
    redact,
    nowUs: () => START_US + 60_000_000,
    onRejected: (...what) => void others.push(what),
    onThrottled: (notice) => void others.push(notice),
  });
  const reader = new RawAlertReader();
  for (const [i, message] of messages.entries()) {
    const alert = reader.find(message) ? reader : readAlert(message);
    if (alert) ingest.alert(alert, 0);
    else ingest.rejected("invalid_wire", `${message.length}`, 0);
    // Counts in flight must not change while alerts go on.
    if (i === takesAt) for (const ledger of aggregator.ledgers.values()) ledger.write.take();
  }
  const { unwritten } = aggregator.stats;
  const inFlight = [...aggregator.ledgers.values()].filter(({ write }) => write.isInFlight);
  const reportsBefore = inFlight.map((ledger) => renderReport(ledger, renderOptions()));
  for (const ledger of inFlight) ledger.write.commit();
  expect(unwritten).toBe(counters.counted);
  expect(aggregator.stats.unwritten + sumOccurrences(reportsBefore)).toBe(counters.counted);
  return { counters, others, reportsBefore, reports: renderReports(aggregator) };
}

function sumOccurrences(reports: readonly ReportBody[]): number {
  return reports.reduce((sum, { summary }) => sum + summary.occurrences, 0);
}

/** Fields that differ between two alerts of a violation. */
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

function makeRare<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
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
    kinds: fc.array(
      fc.oneof(generateWorldAlert(), generateWorldAlert(), generateHostileAlert(), generateWorldNotice()),
      { minLength: 1, maxLength: 4 },
    ),
    others: fc.array(wireAlert, { maxLength: 2 }),
    steps: fc.array(
      fc.record({ kind: fc.nat(), volatile, damage: makeRare(damage), again: fc.boolean(), other: makeRare(fc.nat()) }),
      { minLength: 1, maxLength: 25, size: "max" },
    ),
  })
  .map(({ kinds, others, steps }) =>
    steps.flatMap((step) => {
      const { ms, spelling, ...mods } = step.volatile;
      const UpdatedTime = {
        "": formatTimeAt(ms),
        seconds: formatTimeAt(ms).replace(/\.\d+Z$/, "+01:00"),
        none: "",
        odd: "soon",
      }[spelling];
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

describe("an alert that is counted in its cell", () => {
  it.each<[string, CellBounds, number]>([
    ["with room for all", ROOMY, -1],
    ["with room for a few", { ...ROOMY, maxCells: 2 }, -1],
    ["with few bytes", { ...ROOMY, maxBytes: 3000 }, -1],
    ["where all hashes are equal", ROOMY, 0],
    ["where many hashes are equal", { ...ROOMY, maxCells: 3 }, 1],
  ])("is what reading all of it makes of it, %s", (_name, bounds, mask) => {
    let counted = 0;
    checkAll(100, [messages, fc.nat(20)], (list, takesAt) => {
      const quick = new CountingStore(bounds);
      const thorough = new CountingStore({ ...ROOMY, maxCells: 100_000 }, true);
      expect(toOutcome(list, quick, new PoorHash(mask), takesAt)).toEqual(
        toOutcome(list, thorough, new PoorHash(-1), takesAt),
      );
      counted += quick.counted;
    });
    expect(counted).toBeGreaterThan(200);
  });

  it("is never a notice or a rejection: these are read each time", () => {
    const cells = new CountingStore(ROOMY);
    const notice = encode(throttleNotice());
    const unnamed = encode(throttleNotice({ Operation: "File" }));
    const { counters } = toOutcome([notice, notice, unnamed, unnamed], cells, new PoorHash(-1));
    expect([cells.size, counters.throttleNotices, counters.rejected.no_policy]).toEqual([0, 2, 2]);
  });
});
