// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The benchmark's server: it delivers exactly what it says that it does, or the figures mean nothing.

import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { decodeAlert } from "../../tools/kubearmor-node/wire.ts";
import { locateParts } from "../../tools/parts/parts.ts";
import { eventually } from "../support/eventually.ts";

const part = locateParts(["alert-source"])["alert-source"];
const program = part !== undefined && "path" in part ? part.path : undefined;
if (program === undefined && process.env["CI"]) throw new Error(`no alert-source: ${JSON.stringify(part)}`);

const SPACE = { reports: 4, violations: 6, pods: 2, namespaces: 3, nodes: 5 };

describe.skipIf(program === undefined)("the alert source", () => {
  let source: AlertSource;
  let client: Client;
  let call: ReturnType<Client["makeServerStreamRequest"]>;
  let taken: Buffer[] = [];

  beforeAll(async () => {
    source = await startAlertSource(program ?? "", SPACE);
    client = new Client(source.address, credentials.createInsecure());
    const raw = (bytes: Buffer) => bytes;
    const filter = Buffer.from("\x0a\x06policy", "latin1");
    call = client.makeServerStreamRequest("/feeder.LogService/WatchAlerts", raw, raw, filter);
    call.on("data", (bytes: Buffer) => taken.push(bytes));
    call.on("error", () => undefined);
    await source.clients(1);
  });

  afterAll(async () => {
    call.cancel();
    client.close();
    await source.stop();
  });

  async function take(options: Parameters<AlertSource["send"]>[0], count = options.count) {
    taken = [];
    const sent = await source.send(options);
    await eventually(`${count} alerts`, () => taken.length >= count);
    return { sent, alerts: taken.map(decodeAlert) };
  }

  it("sends each key once in a sweep, with every field that KubeArmor fills", async () => {
    expect(source.keys).toBe(48);
    const { sent, alerts } = await take({ count: 48, order: "sweep" });
    expect(sent).toMatchObject({ offered: 48, sent: 48, dropped: 0 });
    const keys = alerts.map((alert) => `${alert.PolicyName} ${alert.Resource} ${alert.PodName}`);
    expect(new Set(keys).size).toBe(48);
    expect(new Set(alerts.map(({ PolicyName }) => PolicyName)).size).toBe(4);
    expect(new Set(alerts.map(({ NamespaceName }) => NamespaceName)).size).toBe(3);
    expect(new Set(alerts.map(({ HostName }) => HostName)).size).toBe(5);
    expect(alerts[5]).toMatchObject({
      ClusterName: "default",
      NamespaceName: "team-aaab",
      PodName: "app-aaab-7f9c6d5b8-aaaaa",
      Owner: { Ref: "Deployment", Name: "app-aaab", Namespace: "team-aaab" },
      PolicyName: "harden-app-aaab",
      Operation: "File",
      Resource: "/etc/app/aaab/key.pem",
      Action: "Audit",
      Result: "Passed",
      ATags: ["NIST", "SI-4"],
      UID: 1000,
    });
  });

  it("makes alerts of about 620 bytes", () => {
    for (const bytes of taken) expect(bytes.length).toBeGreaterThan(600);
    for (const bytes of taken) expect(bytes.length).toBeLessThan(650);
    expect(source.alertBytes).toBe(627);
  });

  it("gives no two alerts the same time or process, so that none is a duplicate", async () => {
    const { alerts } = await take({ count: 5000 });
    const times = alerts.map(({ UpdatedTime }) => UpdatedTime ?? "");
    expect(times).toEqual(times.toSorted());
    expect(new Set(times).size).toBe(5000);
    expect(times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(time))).toBe(true);
    for (const { Timestamp = 0, UpdatedTime = "" } of alerts) {
      expect(Timestamp).toBe(Math.floor(Date.parse(UpdatedTime) / 1000));
    }
    expect(new Set(alerts.map(({ HostPID }) => HostPID)).size).toBe(5000);
  });

  it("sends some keys far more often than others, unless it sweeps", async () => {
    const { alerts } = await take({ count: 4800 });
    const counts = new Map<string, number>();
    for (const { PolicyName, Resource, PodName } of alerts) {
      const key = `${PolicyName} ${Resource} ${PodName}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const sorted = [...counts.values()].sort((a, b) => b - a);
    // By Zipf's law with exponent 1.1, the first of 48 keys has a quarter of all.
    expect(sorted[0]).toBeGreaterThan(1000);
    expect(sorted[0]).toBeLessThan(1600);
    expect(sorted.length).toBeGreaterThan(40);
  });

  it("sends violations that were never seen before, when asked to", async () => {
    const seen = new Set((await take({ count: 48, order: "sweep" })).alerts.map(({ Resource }) => Resource));
    const { alerts } = await take({ count: 1000, freshEvery: 100 });
    const fresh = alerts.filter(({ Resource }) => !seen.has(Resource));
    expect(fresh.length).toBe(10);
    expect(new Set(fresh.map(({ PolicyName, Resource }) => `${PolicyName} ${Resource}`)).size).toBe(10);
  });

  it("loses nothing for a client that it waits for, and counts what it drops as KubeArmor does", async () => {
    call.pause();
    const sending = source.send({ count: 50_000, drop: true });
    await eventually("alerts that wait in the client", () => call.readableLength > 0);
    call.resume();
    taken = [];
    const sent = await sending;
    expect(sent.offered).toBe(50_000);
    expect(sent.sent + sent.dropped).toBe(50_000);
    expect(sent.dropped).toBeGreaterThan(0);
    expect(sent.sent).toBeGreaterThanOrEqual(1000);
    const after = await take({ count: 20_000 });
    expect(after.sent).toMatchObject({ offered: 20_000, sent: 20_000, dropped: 0 });
  });
});
