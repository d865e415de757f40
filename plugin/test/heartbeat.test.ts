// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { ApiError } from "../../src/kube/api-error.ts";
import type { ApiRequester } from "../../src/kube/client.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { type Heartbeat, type LeaseObject, readHeartbeat } from "../src/reports/heartbeat.ts";
import { createClusterReports, parseLease } from "../src/reports/sources/cluster-reports.ts";
import { createMemoryReports, report, runPlugin, violation } from "./session.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 10);
const LEASE = { namespace: "kubearmor", name: "pvo" };
const SILENT: Heartbeat = { state: "silent", lease: "kubearmor/pvo", forMs: 12 * 60_000 };

const CUT_OFF: Heartbeat = { state: "cutOff", sinceMs: Date.UTC(2026, 10, 23, 9, 50) };

const createLease = (spec: object, metadata: object = LEASE) => ({
  metadata,
  spec: { holderIdentity: "pvo-0", leaseDurationSeconds: 15, renewTime: "2026-11-23T09:59:55.000000Z", ...spec },
});

const createMissingLease = (since: string) => ({
  ...LEASE,
  annotations: { "reports.kubearmor.com/alerts-missing-since": since },
});

describe("a heartbeat", () => {
  test.each<[string, LeaseObject | undefined, string]>([
    ["is there while the Lease is renewed", createLease({}), "alive"],
    [
      "may be late by a minute more than the Lease lasts",
      createLease({ renewTime: "2026-11-23T09:58:45.000000Z" }),
      "alive",
    ],
    ["is missing after that", createLease({ renewTime: "2026-11-23T09:58:44.000000Z" }), "silent"],
    ["is missing of a released Lease", createLease({ holderIdentity: "" }), "silent"],
    ["of a clock that is a little ahead is one", createLease({ renewTime: "2026-11-23T10:00:59.000000Z" }), "alive"],
    ["from the future is unknown", createLease({ renewTime: "2099-01-01T00:00:00.000000Z" }), "unknown"],
    ["of another namespace is unknown", createLease({}, { namespace: "evil", name: "pvo" }), "unknown"],
    ["of another name is unknown", createLease({}, { namespace: "kubearmor", name: "evil" }), "unknown"],
    ["of a Lease that lasts for years is unknown", createLease({ leaseDurationSeconds: 1e9 }), "unknown"],
    ["of a Lease without a duration is unknown", createLease({ leaseDurationSeconds: "15" }), "unknown"],
    ["is unknown without a Lease", undefined, "unknown"],
    ["is unknown of a Lease without a time", createLease({ renewTime: undefined }), "unknown"],
    ["is unknown of a Lease with another time", createLease({ renewTime: "soon" }), "unknown"],
    [
      "is cut off while alerts may be missing",
      createLease({}, createMissingLease("2026-11-23T09:50:00.000000Z")),
      "cutOff",
    ],
    [
      "is unknown where it does not say since when they may be missing",
      createLease({}, createMissingLease("soon")),
      "unknown",
    ],
    [
      "is missing rather than cut off",
      createLease({ holderIdentity: "" }, createMissingLease("2026-11-23T09:50:00.000000Z")),
      "silent",
    ],
  ])("%s", (_name, object, state) => {
    expect(readHeartbeat(object, LEASE, { nowMs: NOW_MS }).state).toBe(state);
  });

  test.each([
    ["35 s ago", "2026-11-23T09:59:25.000000Z", "alive"],
    ["longer ago", "2026-11-23T09:59:24.999000Z", "silent"],
    ["20 s ahead", "2026-11-23T10:00:20.000000Z", "alive"],
    ["further ahead", "2026-11-23T10:00:20.001000Z", "unknown"],
  ])("that was renewed %s by the API server's clock is judged by it alone", (_name, renewTime, state) => {
    const clock = { nowMs: NOW_MS + 3_600_000, serverMs: NOW_MS };
    expect(readHeartbeat(createLease({ renewTime }), LEASE, clock).state).toBe(state);
  });

  const answer = (respond: (path: string) => unknown) => {
    const paths: string[] = [];
    const client: ApiRequester = {
      async request<T>({ path }: { path: string }): Promise<T> {
        paths.push(path);
        return respond(path) as T;
      },
    };
    const { signal } = new AbortController();
    return { paths, source: createClusterReports({ client, signal, operatorLease: LEASE }) };
  };

  test("is read from the one Lease, by its name", async () => {
    const { paths, source } = answer(() => createLease({}));
    expect(await source.heartbeat?.(NOW_MS)).toEqual({ state: "alive", holder: "pvo-0" });
    expect(paths).toEqual(["/apis/coordination.k8s.io/v1/namespaces/kubearmor/leases/pvo"]);
  });

  test.each([
    ["Forbidden", "you may not get its Lease kubearmor/pvo (coordination.k8s.io)"],
    ["NotFound", "there is no Lease kubearmor/pvo"],
    ["Unavailable", "no connection"],
  ] as const)("that can't be read (%s) is unknown", async (code, why) => {
    const { source } = answer(() => {
      throw new ApiError(code, "no connection");
    });
    expect(await source.heartbeat?.(NOW_MS)).toEqual({ state: "unknown", why: expect.stringContaining(why) });
  });

  test.each(["kubearmor", "a/b/c", "../x"])("--operator-lease %s is refused", (text) => {
    expect(() => parseLease(text)).toThrow(/expected NAMESPACE\/NAME/);
  });
});

describe("gate --wait", () => {
  const shut = report("p", [violation()]);
  const flags = ["gate", "-n", "shop", "--all"];

  /** Reports that are counted as they are looked at. */
  function createLooks(look: (looks: number) => Report) {
    const reports = { ...createMemoryReports([]), looks: 0 };
    return Object.assign(reports, {
      async *list() {
        yield look(++reports.looks);
      },
    });
  }

  test("passes as soon as the reports show the acceptance", async () => {
    const clock = new FakeClock(NOW_MS);
    const accepted = report("p", [violation({ accepted: { by: "known" } })]);
    const reports = createLooks((looks) => (looks < 3 ? shut : accepted));
    const gate = runPlugin([...flags, "--wait", "1m"], { reports, clock });
    await clock.advance(60_000);
    expect({ code: (await gate).code, looks: reports.looks }).toEqual({ code: 0, looks: 3 });
  });

  test("fails when the time is over, and looks once without it", async () => {
    const clock = new FakeClock(NOW_MS);
    const reports = createLooks(() => shut);
    const gate = runPlugin([...flags, "--wait", "5s"], { reports, clock });
    await clock.advance(60_000);
    expect({ code: (await gate).code, looks: reports.looks }).toEqual({ code: 1, looks: 4 });
    expect((await runPlugin(flags, { reports, clock })).code).toBe(1);
    expect(reports.looks).toBe(5);
    expect((await runPlugin([...flags, "--wait", "long"], { reports, clock })).code).toBe(2);
  });
});

test("readiness calls nothing ready while the operator may not be running", async () => {
  const old = "2026-11-02T10:00:00.000000Z";
  const quiet = report("p", [violation({ outcome: "Allowed", firstSeen: old, lastSeen: old })], {
    coverage: { continuousSince: "2026-11-01T10:00:00.000000Z" },
  });
  const ready = await runPlugin(["readiness", "p", "-n", "shop"], { reports: [quiet] });
  expect(ready).toMatchObject({ code: 0, err: "" });
  expect(ready.out).toMatch(/^p: ready\n/);
  const silent = await runPlugin(["readiness", "p", "-n", "shop"], { reports: [quiet], heartbeat: SILENT });
  expect(silent.code).toBe(3);
  expect(silent.out).toBe("p: unknown\nThe operator may not be running, so that nothing may be counted.\n");
  expect(silent.err).toMatch(/^note: the operator has not renewed its Lease kubearmor\/pvo for 12m/);
  const cutOff = await runPlugin(["readiness", "p", "-n", "shop"], { reports: [quiet], heartbeat: CUT_OFF });
  expect(cutOff.code).toBe(3);
  expect(cutOff.out).toBe(
    "p: unknown\nAlerts may be missing now: the operator does not reach all of KubeArmor, or cannot write its reports.\n",
  );
});

test("no gate passes while alerts may not reach the operator, also where there is no report", async () => {
  const gate = async (heartbeat: Heartbeat) => {
    const { code, out } = await runPlugin(["gate", "-n", "shop"], { reports: [], heartbeat });
    return { code, out };
  };
  expect((await gate({ state: "alive", holder: "pvo-0" })).code).toBe(0);
  expect(await gate(CUT_OFF)).toMatchObject({ code: 3, out: expect.stringContaining("UNKNOWN") });
});

test("a list without anything says that alerts may not reach the operator", async () => {
  const { err } = await runPlugin(["list", "-n", "shop"], { reports: [], heartbeat: CUT_OFF });
  expect(err).toContain("note: alerts may be missing since 2026-11-23 09:50:00 UTC");
});
