// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import type { Alert } from "../../../src/api/alert.ts";
import type { EventUpdate } from "../../../src/events/event-recorder.ts";
import { createThrottleUpdate, recordEventUpdates } from "../../../src/events/event-updates.ts";
import type { ThrottleNotice } from "../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, hostAlert, renderOptions, START_US } from "../../support/gen.ts";
import { addAll, createAggregator } from "../ingest/fold-alerts.ts";

/** Event updates of a write of these alerts. */
function createUpdates(alerts: readonly Alert[]): EventUpdate[] {
  const aggregator = addAll(createAggregator(), alerts);
  return [...aggregator.ledgers.values()].flatMap(persist);
}

function persist(ledger: Ledger): EventUpdate[] {
  ledger.write.take();
  const stored = { name: ledger.name, uid: "report-uid", resourceVersion: "1" };
  const reported: EventUpdate[] = [];
  const report = buildReport(ledger, renderReport(ledger, renderOptions()), stored, undefined);
  runAtOnce(recordEventUpdates(ledger, report, (update) => reported.push(update)));
  ledger.write.commit();
  return reported;
}

describe("a write that was stored", () => {
  it("has each pod's activity, count and time", () => {
    const reported = createUpdates([
      alert({ UpdatedTime: formatTimeAt(0), Message: "denied" }),
      alert({ UpdatedTime: formatTimeAt(20), Message: "denied" }),
      alert({ PodName: "web-2", UpdatedTime: formatTimeAt(10), Message: "denied" }),
    ]);
    const shared = {
      related: { kind: "PolicyViolationReport", name: "no-package-managers", namespace: "shop", uid: "report-uid" },
      policy: "no-package-managers",
      operation: "Process",
      action: "Block",
      outcome: "Prevented",
      note:
        "Process /usr/bin/apt by /bin/bash in container app was blocked: " +
        "policy no-package-managers (severity 5): denied",
    };
    expect(reported).toEqual([
      {
        ...shared,
        regarding: { kind: "Pod", namespace: "shop", name: "web-1" },
        count: 2,
        firstUs: START_US,
        lastUs: START_US + 20_000,
      },
      {
        ...shared,
        regarding: { kind: "Pod", namespace: "shop", name: "web-2" },
        count: 1,
        firstUs: START_US,
        lastUs: START_US + 10_000,
      },
    ]);
  });

  it("has only what it brought", () => {
    const aggregator = addAll(createAggregator(), [alert(), alert({ Operation: "File", Resource: "/x" })]);
    const [ledger] = [...aggregator.ledgers.values()];
    if (!ledger) throw new Error("expected a ledger");
    expect(persist(ledger)).toHaveLength(2);
    addAll(aggregator, [alert({ UpdatedTime: formatTimeAt(5) })]);
    expect(persist(ledger).map(({ operation, count }) => [operation, count])).toEqual([["Process", 1]]);
    expect(persist(ledger)).toEqual([]);
  });

  it.each<[string, Partial<Alert>, string]>([
    ["was blocked", {}, "was blocked"],
    ["was not blocked", { Result: "Passed", Action: "Audit (Block)" }, "was not blocked"],
    ["was reported", { Result: "" }, "was reported"],
  ])("says what %s", (_name, mods, verb) => {
    expect(createUpdates([alert(mods)])[0]?.note).toContain(` ${verb}: policy `);
  });

  it("of a host has the node", () => {
    const reported = createUpdates([hostAlert(), hostAlert(), hostAlert({ HostName: "node-2" })]);
    expect(reported.map(({ regarding, count }) => [regarding, count])).toEqual([
      [{ kind: "Node", name: "node-1" }, 2],
      [{ kind: "Node", name: "node-2" }, 1],
    ]);
    expect(reported[0]?.related).toEqual({
      kind: "ClusterPolicyViolationReport",
      name: "host-files",
      uid: "report-uid",
    });
    expect(reported[0]?.note).toBe(
      "File /etc/shadow by /usr/sbin/sshd was not blocked: policy host-files (severity 5)",
    );
  });

  it.each<[string, Partial<Alert>]>([
    ["of no Kubernetes", { NamespaceName: "container_namespace" }],
    ["of an illegal namespace", { NamespaceName: "../x" }],
  ])("%s makes no Event", (_name, mods) => {
    expect(createUpdates([alert(mods)])).toEqual([]);
  });

  it("leaves out of its sentence what the alert did not have", () => {
    const bare = { Source: "", ParentProcessName: "", Resource: "", ProcessName: "", ContainerName: "", Severity: "" };
    expect(createUpdates([alert(bare)])[0]?.note).toBe("Process was blocked: policy no-package-managers");
  });
});

describe("a throttle notice", () => {
  const notice: ThrottleNotice = {
    namespace: "shop",
    pod: "web-1",
    node: "node-1",
    container: "app",
    timeUs: START_US,
    maxAlertsPerSec: 10,
    intervalSeconds: 30,
  };

  it("has the pod", () => {
    expect(createThrottleUpdate(notice)).toEqual({
      regarding: { kind: "Pod", namespace: "shop", name: "web-1" },
      policy: "",
      operation: "",
      action: "",
      outcome: "Throttled",
      note:
        "KubeArmor throttled the alerts of this container app for up to 30 s: it raised more than 10 in a second. " +
        "Violations in that time are not counted.",
      count: 1,
      firstUs: START_US,
      lastUs: START_US,
    });
  });

  it("has the node of a host's", () => {
    const reported = createThrottleUpdate({ ...notice, namespace: undefined, pod: "", container: "" });
    expect(reported?.regarding).toEqual({ kind: "Node", name: "node-1" });
    expect(reported?.note).toContain("the alerts of this node for");
  });

  it.each<[string, Partial<ThrottleNotice>]>([
    ["of a pod in no namespace", { namespace: undefined }],
    ["of nothing at all", { namespace: undefined, pod: "", node: "" }],
  ])("%s makes no Event", (_name, mods) => {
    expect(createThrottleUpdate({ ...notice, ...mods })).toBeUndefined();
  });
});
