// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { beforeEach, describe, expect, test } from "vitest";
import type { ListedLease } from "../../../../src/scale/leases/members.ts";
import { PartLeases } from "../../../../src/scale/leases/part-leases.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const START_MS = Date.UTC(2026, 10, 23, 10);
const NAMES = ["pvo-shard-0", "pvo-shard-1", "pvo-partition-0"];

let clock: FakeClock;
let parts: PartLeases;

beforeEach(() => {
  clock = new FakeClock(START_MS);
  parts = new PartLeases({ names: NAMES, leaseDurationMs: 15_000 }, clock);
});

/** Looks every 2 s; each Lease is renewed now, but for `changes`. */
async function look(seconds: number, changes: Record<string, Partial<ListedLease> | undefined> = {}) {
  for (let second = 0; second < seconds; second += 2) {
    await clock.advance(2000);
    const renewTime = new Date(clock.nowMs()).toISOString();
    const leases = NAMES.filter((name) => !(name in changes) || changes[name] !== undefined);
    parts.observe(leases.map((name) => ({ name, holder: "pod", renewTime, missingSince: "", ...changes[name] })));
  }
  return parts.missingSinceMs === undefined ? undefined : new Date(parts.missingSinceMs).toISOString();
}

describe("alerts may be missing", () => {
  test("never while all parts are held and read everything", async () => {
    expect(await look(120)).toBeUndefined();
  });

  test("since the last renewal of a part without a holder", async () => {
    await look(10);
    const stale = { "pvo-shard-1": { renewTime: "2026-11-23T10:00:10.000Z" } };
    expect(await look(28, stale)).toBeUndefined();
    expect(await look(6, stale)).toBe("2026-11-23T10:00:10.000Z");
    expect(await look(2)).toBeUndefined();
  });

  test("since the release of a part without another holder", async () => {
    await look(10);
    const released = { "pvo-partition-0": { holder: "", renewTime: "2026-11-23T10:00:09.000Z" } };
    expect(await look(34, released)).toBe("2026-11-23T10:00:09.000Z");
  });

  test("since the start of looking where a part never had a Lease", async () => {
    expect(await look(28, { "pvo-shard-0": undefined })).toBeUndefined();
    expect(await look(6, { "pvo-shard-0": undefined })).toBe("2026-11-23T10:00:00.000Z");
  });

  test("since the earliest time that a holder states", async () => {
    const missing = {
      "pvo-shard-0": { missingSince: "2026-11-23T09:50:00.000000Z" },
      "pvo-shard-1": { missingSince: "2026-11-23T09:40:00.000000Z" },
    };
    expect(await look(2, missing)).toBe("2026-11-23T09:40:00.000Z");
    expect(await look(2, { "pvo-shard-0": { missingSince: "soon" } })).toBe("2026-11-23T10:00:00.000Z");
  });
});
