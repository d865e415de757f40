// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { type Heartbeat, heartbeatOf } from "../src/reports/heartbeat.ts";
import { memoryReports, plugin, report, violation } from "./session.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 10);
const SILENT: Heartbeat = { state: "silent", lease: "kubearmor/pvo", forMs: 12 * 60_000 };
const UNKNOWN: Heartbeat = { state: "unknown", why: "you may not list its Lease" };

function lease(renewTime: string | undefined, leaseDurationSeconds = 15) {
  return {
    metadata: { namespace: "kubearmor", name: "pvo" },
    spec: { ...(renewTime === undefined ? {} : { renewTime }), leaseDurationSeconds },
  };
}

describe("a heartbeat", () => {
  test.each([
    ["is there while the Lease is renewed", [lease("2026-11-23T09:59:55.000000Z")], "alive"],
    ["may be late for a minute more than the Lease lasts", [lease("2026-11-23T09:58:45.000000Z")], "alive"],
    ["is missing after that", [lease("2026-11-23T09:58:44.000000Z")], "silent"],
    [
      "is that of the newest Lease",
      [lease("2026-11-20T00:00:00.000000Z"), lease("2026-11-23T09:59:59.000000Z")],
      "alive",
    ],
    ["of a clock that is ahead is one", [lease("2026-11-23T10:05:00.000000Z")], "alive"],
    ["is not known without a Lease", [], "unknown"],
    ["is not known of a Lease that tells no time", [lease(undefined), lease("soon")], "unknown"],
  ])("%s", (_name, leases, state) => {
    expect(heartbeatOf(leases, NOW_MS).state).toBe(state);
  });
});

const withBeat = (reports: readonly Report[], beat: Heartbeat) => ({
  ...memoryReports(reports),
  heartbeat: async () => beat,
});

describe("the gate", () => {
  const open = [report("p", [violation({ accepted: { by: "known" } })])];

  test("stays shut while nobody counts", async () => {
    expect(await plugin(["gate", "-n", "shop"], { reports: withBeat(open, SILENT) })).toEqual({
      code: 3,
      out: "",
      err:
        "error: the operator has not renewed its Lease kubearmor/pvo for 12m: nobody is counting, and the reports are " +
        "as old as that. The gate stays shut.\n",
    });
  });

  test("that is shut anyway shows why, and says that nobody counts", async () => {
    const reports = withBeat([report("p", [violation()])], SILENT);
    const { code, out, err } = await plugin(["gate", "-n", "shop"], { reports });
    expect({ code, head: out.split("\n")[0] }).toEqual({
      code: 1,
      head: "SHUT: 1 violation that nobody accepted",
    });
    expect(err).toMatch(/^note: the operator has not renewed/);
  });

  test("says what it can't know, and is quiet about an operator that runs", async () => {
    const unknown = await plugin(["gate", "-n", "shop"], { reports: withBeat(open, UNKNOWN) });
    expect({ code: unknown.code, err: unknown.err }).toEqual({
      code: 0,
      err: "note: whether the operator is running is not known: you may not list its Lease\n",
    });
    const alive = await plugin(["gate", "-n", "shop"], { reports: withBeat(open, { state: "alive" }) });
    expect({ code: alive.code, err: alive.err }).toEqual({ code: 0, err: "" });
  });
});

describe("gate --wait", () => {
  const shut = report("p", [violation()]);

  test("opens as soon as the reports tell of the acceptance", async () => {
    const clock = new FakeClock(NOW_MS);
    let looks = 0;
    const reports = {
      ...memoryReports([]),
      async *list() {
        looks++;
        yield looks < 3 ? shut : report("p", [violation({ accepted: { by: "known" } })]);
      },
    };
    const gate = plugin(["gate", "-n", "shop", "--wait", "1m"], { reports, clock });
    await clock.advance(60_000);
    expect((await gate).code).toBe(0);
    expect(looks).toBe(3);
  });

  test("stays shut when the time is over, and looks once without it", async () => {
    const clock = new FakeClock(NOW_MS);
    let looks = 0;
    const reports = {
      ...memoryReports([]),
      async *list() {
        looks++;
        yield shut;
      },
    };
    const gate = plugin(["gate", "-n", "shop", "--wait", "5s"], { reports, clock });
    await clock.advance(60_000);
    expect({ code: (await gate).code, looks }).toEqual({ code: 1, looks: 4 });
    expect((await plugin(["gate", "-n", "shop"], { reports, clock })).code).toBe(1);
    expect(looks).toBe(5);
    const wrong = await plugin(["gate", "-n", "shop", "--wait", "long"], { reports, clock });
    expect(wrong).toMatchObject({ code: 2, err: 'error: --wait "long" is no duration: give 30s, 5m\n' });
  });
});

test("readiness calls nothing ready while nobody counts", async () => {
  const whole = { continuousSince: "2026-11-01T10:00:00.000000Z" };
  const quiet = report(
    "p",
    [
      violation({
        outcome: "Allowed",
        firstSeen: "2026-11-02T10:00:00.000000Z",
        lastSeen: "2026-11-02T10:00:00.000000Z",
      }),
    ],
    { coverage: whole },
  );
  const ready = await plugin(["readiness", "p", "-n", "shop"], {
    reports: withBeat([quiet], { state: "alive" }),
  });
  expect(ready).toMatchObject({ code: 0, err: "" });
  expect(ready.out).toMatch(/^p: ready\n/);
  const silent = await plugin(["readiness", "p", "-n", "shop"], { reports: withBeat([quiet], SILENT) });
  expect(silent.code).toBe(1);
  expect(silent.out).toBe("p: not enough seen\nThe operator is not running: nobody is counting.\n");
  expect(silent.err).toMatch(/^note: the operator has not renewed its Lease kubearmor\/pvo for 12m/);
});
