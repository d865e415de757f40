// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { makeAlert, type WireAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import { type FloodOptions, flood } from "../../../../tools/kubearmor-node/flood.ts";
import { decodeAlert } from "../../../../tools/kubearmor-node/wire.ts";

async function collectFlood(options: FloodOptions): Promise<WireAlert[]> {
  const alerts: WireAlert[] = [];
  const pushed = await flood({ pushRaw: (bytes) => alerts.push(decodeAlert(bytes)), room: () => undefined }, options);
  expect(pushed).toBe(alerts.length);
  return alerts;
}

describe("flood", () => {
  it("gives each alert another, later time and other process ids, and changes nothing else", async () => {
    const alert = makeAlert();
    const alerts = await collectFlood({ alert, count: 1_000 });
    expect(alerts).toHaveLength(1_000);
    const times = alerts.map((a) => a.UpdatedTime!);
    expect(new Set(times).size).toBe(1_000);
    expect(times).toEqual([...times].sort());
    expect(new Set(alerts.map((a) => a.HostPID)).size).toBe(1_000);
    expect(new Set(alerts.map((a) => a.PID)).size).toBe(1_000);
    for (const { UpdatedTime, Timestamp, HostPID, PID, ...rest } of alerts) {
      expect(Date.parse(UpdatedTime!)).toBeGreaterThanOrEqual(Timestamp! * 1_000);
      const { UpdatedTime: _t, Timestamp: _s, HostPID: _h, PID: _p, ...expected } = alert;
      expect({ HostPID, rest }).toEqual({ HostPID: PID, rest: expected });
    }
  });

  it("goes round several alerts", async () => {
    const alert = ["a", "b", "c"].map((PolicyName) => makeAlert({ PolicyName }));
    const alerts = await collectFlood({ alert, count: 7 });
    expect(alerts.map((a) => a.PolicyName).join("")).toBe("abcabca");
  });

  it("sends exact duplicates on demand", async () => {
    const alert = makeAlert();
    const alerts = await collectFlood({ alert, count: 3, stamp: false });
    expect(alerts).toEqual([alert, alert, alert]);
  });

  it("varies by number", async () => {
    const vary = (alert: WireAlert, index: number) => ({ ...alert, Resource: `/tmp/${index}` });
    const stamped = await collectFlood({ alert: makeAlert(), count: 3, vary });
    expect(stamped.map((a) => a.Resource)).toEqual(["/tmp/0", "/tmp/1", "/tmp/2"]);
    expect(new Set(stamped.map((a) => a.UpdatedTime)).size).toBe(3);
    const plain = await collectFlood({ alert: makeAlert(), count: 3, vary, stamp: false });
    expect(new Set(plain.map((a) => a.UpdatedTime))).toEqual(new Set(["2023-11-14T22:13:20.000000Z"]));
  });

  it("at a rate sends its count, and an abort ends it early", async () => {
    expect(await collectFlood({ alert: makeAlert(), count: 30, ratePerSec: 2_000 })).toHaveLength(30);
    const over = new AbortController();
    const alerts: Buffer[] = [];
    const target = {
      room: () => undefined,
      pushRaw(bytes: Buffer) {
        alerts.push(bytes);
        if (alerts.length === 5) over.abort();
      },
    };
    expect(await flood(target, { alert: makeAlert(), ratePerSec: 1_000, signal: over.signal })).toBe(5);
    expect(alerts).toHaveLength(5);
  });

  it("refuses to start what could never end or has nothing to send", async () => {
    await expect(collectFlood({ alert: makeAlert() })).rejects.toThrow("needs a signal");
    await expect(collectFlood({ alert: [], count: 1 })).rejects.toThrow("at least one alert");
  });
});
