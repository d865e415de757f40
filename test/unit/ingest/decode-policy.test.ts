// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { type Alert, emptyAlert } from "../../../src/api/alert.ts";
import { decode } from "../../../src/ingest/decode.ts";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";
import { alert, START_US, throttleNotice, violation } from "../../support/gen.ts";

const redact = createRedactor();

it("unknown words are kept as text", () => {
  const decoded = violation(alert({ Type: "MatchedDream", Operation: "Dream", Action: "Wake", Enforcer: "Sandman" }));
  expect(decoded.identity).toMatchObject({ operation: "Dream", action: "Wake" });
  expect(decoded.evidence).toMatchObject({ type: "MatchedDream", enforcer: "Sandman" });
  expect(decoded.policy.kind).toBe("Unknown");
});

describe("policy", () => {
  it.each([
    ["MatchedPolicy", "KubeArmorPolicy"],
    ["MatchedHostPolicy", "KubeArmorHostPolicy"],
    ["MatchedNetworkPolicy", "KubeArmorNetworkPolicy"],
    ["MatchedNativePolicy", "Unknown"],
    ["", "Unknown"],
  ])("%s is of kind %s", (Type, kind) => {
    expect(violation(alert({ Type })).policy.kind).toBe(kind);
    expect(violation(alert({ Type, PolicyName: "DefaultPosture" })).policy.kind).toBe("DefaultPosture");
  });

  const valid = { "1": 1, "10": 10, " 7 ": 7, "05": 5 };
  const invalid = ["0", "11", "-1", "", "-", "Medium", "5.0", "1e1", "٥", "999999999999999999999"];

  it.each([...Object.entries(valid), ...invalid.map((text) => [text, 0] as const)])(
    "severity %j is %d",
    (Severity, severity) => {
      expect(violation(alert({ Severity })).policy.severity).toBe(severity);
    },
  );

  const numbered = Array.from({ length: 99 }, (_, i) => `t${i}`);

  it.each<[string, Partial<Alert>, string[]]>([
    ["Tags split at commas", { Tags: "NIST, CIS ,,x" }, ["NIST", "CIS", "x"]],
    ["ATags before Tags", { Tags: "a,b", ATags: ["c,d", " e "] }, ["c,d", "e"]],
    ["none", { Tags: "", ATags: [] }, []],
    ["blank ones left out", { ATags: ["", " ", "x"] }, ["x"]],
    ["safe", { ATags: ["a\nb", "\u202ec"] }, ["a b", "\ufffdc"]],
    ["each cut at 256 bytes", { ATags: ["é".repeat(200)] }, [`${"é".repeat(126)}…`]],
    ["at most 50", { Tags: numbered.join(",") }, numbered.slice(0, 50)],
  ])("tags are %s", (_name, mods, tags) => {
    expect(violation(alert(mods)).policy.tags).toEqual(tags);
  });

  it("name and message are made safe", () => {
    const decoded = violation(alert({ PolicyName: " a\x1b[1mb ", Message: "line\r\nbreak\u202e" }));
    expect(decoded.policyName).toBe("a\ufffd[1mb");
    expect(decoded.policy.message).toBe("line break\ufffd");
  });
});

describe("rejection", () => {
  const hash = Object.assign(emptyAlert(), { Type: "SystemEvent", HostName: "n\x1b[2J" });
  const log = alert({ PolicyName: "", Type: "ContainerLog" });
  const shop = { namespace: "shop" };
  const unnamed = "no PolicyName (MatchedPolicy, Process, shop, web-1, node-1)";

  it.each<[string, Alert, string, { namespace: string | undefined } | null]>([
    ["an empty alert", emptyAlert(), "every field is empty", { namespace: undefined }],
    ["no policy", alert({ PolicyName: "" }), unnamed, shop],
    ["a blank policy", alert({ PolicyName: " \t" }), unnamed, shop],
    ["a hash notice", hash, "no PolicyName (SystemEvent, n\ufffd[2J)", null],
    ["a log", log, "no PolicyName (ContainerLog, Process, shop, web-1, node-1)", null],
  ])("of %s gives the reason, and the scope of the violation that it may have been", (_name, from, detail, scope) => {
    expect(decode(from, START_US, redact)).toEqual({ kind: "rejected", reason: "no_policy", detail, scope });
  });
});

describe("throttle notices", () => {
  it("of the kernel's form", () => {
    const subject = { namespace: "shop", pod: "web-1", node: "node-1", container: "app" };
    const notice = { ...subject, timeUs: START_US, maxAlertsPerSec: 10, intervalSeconds: 30 };
    expect(decode(throttleNotice(), START_US + 5, redact)).toEqual({ kind: "throttle", notice });
  });

  it("of the form that is the tripping alert itself are not violations", () => {
    const tripping = alert({ Operation: "AlertThreshold", Type: "SystemEvent", MaxAlertsPerSec: 10 });
    expect(decode(tripping, START_US, redact)).toMatchObject({ kind: "throttle", notice: { pod: "web-1" } });
  });

  it("of a host have neither namespace nor pod", () => {
    const notice = throttleNotice({ NamespaceName: "", PodName: "", ContainerName: "", UpdatedTime: "" });
    expect(decode(notice, START_US, redact)).toMatchObject({
      notice: { namespace: undefined, pod: "", node: "node-1", timeUs: START_US },
    });
  });

  it("are recognized by their operation: the type alone means other things too", () => {
    expect(decode(alert({ Type: "SystemEvent" }), START_US, redact).kind).toBe("violation");
  });

  it("hold nothing raw", () => {
    const names = { PodName: "a\x1b[1m", HostName: "b\u202e", ContainerName: "c\0", NamespaceName: "../x" };
    const notice = throttleNotice(names);
    expect(decode(notice, START_US, redact)).toMatchObject({
      notice: { namespace: undefined, pod: "a\ufffd[1m", node: "b\ufffd", container: "c\ufffd" },
    });
  });
});
