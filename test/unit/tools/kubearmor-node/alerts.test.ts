// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { makeAlert, parseAlert, readAlerts, restamp, spread } from "../../../../tools/kubearmor-node/alerts.ts";
import { createAlertTemplate, decodeAlert, encodeAlert } from "../../../../tools/kubearmor-node/wire.ts";

const samples = readAlerts(new URL("../../../../samples/alerts.jsonl", import.meta.url));
// 2026-11-23T10:00:00.000042Z
const NOW_US = 1_795_428_000_000_042;

it("readAlerts reads every sample", () => {
  expect(samples).toHaveLength(26);
  expect(samples[0]).toMatchObject({
    Timestamp: 1_686_475_183,
    PolicyName: "block-pkg-mgmt-tools-exec",
    HostPID: 3_341_928,
  });
  expect(samples[8]?.Owner).toEqual({ Ref: "Deployment", Name: "ubuntu-1-deployment", Namespace: "multiubuntu" });
});

describe("parseAlert", () => {
  it("takes integers as text, leaves out null, strange fields and an owner without content", () => {
    const record = {
      HostPID: "77",
      UID: 0,
      Severity: 5,
      ATags: null,
      Owner: { Ref: "", Name: "", Namespace: "" },
      EventData: { Fd: 3 },
      cluster_id: "9",
    };
    expect(parseAlert(record)).toEqual({ HostPID: 77, UID: 0, Severity: "5", EventData: { Fd: "3" } });
  });

  it("names the place of what can't be read", () => {
    expect(() => parseAlert({ PID: "many" }, "f:3")).toThrow('f:3.PID: expected an integer, found "many"');
    expect(() => parseAlert({ PodName: ["a"] }, "f:3")).toThrow("f:3.PodName: expected text");
    expect(() => parseAlert([], "f:3")).toThrow("f:3: expected an object");
  });
});

describe("encoding", () => {
  it("brings every sample back, but for empty values", () => {
    for (const sample of samples) {
      const filled = Object.entries(sample).filter(([, value]) => value !== "" && value !== 0);
      expect(decodeAlert(encodeAlert(sample))).toEqual(Object.fromEntries(filled));
    }
  });

  it("puts no empty value on the wire", () => {
    expect(encodeAlert({ UID: 0, PodName: "", ATags: [], PolicyName: "p" }).toString("hex")).toBe("6a0170");
  });

  it("keeps an empty exec event, as KubeArmor sends it", () => {
    expect(encodeAlert({ ExecEvent: { ExecID: "" } }).toString("hex")).toBe("a20200");
  });

  it("stamps a template as restamp does", () => {
    for (const sample of samples) {
      const bytes = createAlertTemplate(sample).stamped(NOW_US, 3_999_999);
      expect(decodeAlert(bytes)).toEqual(decodeAlert(encodeAlert(restamp(sample, NOW_US, 3_999_999))));
    }
  });
});

it("restamp sets both times, and process ids where there are any", () => {
  expect(restamp(makeAlert(), NOW_US, 9)).toEqual(
    makeAlert({ Timestamp: 1_795_428_000, UpdatedTime: "2026-11-23T10:00:00.000042Z", HostPID: 9, PID: 9 }),
  );
  expect(restamp({ PolicyName: "usb" }, NOW_US, 9)).toEqual({
    PolicyName: "usb",
    Timestamp: 1_795_428_000,
    UpdatedTime: "2026-11-23T10:00:00.000042Z",
  });
});

describe("spread", () => {
  it("makes pods times resources of a container's process alert, the first being itself", () => {
    const variants = spread([makeAlert()], 3, 2);
    expect(variants[0]).toEqual(makeAlert());
    expect(variants.map((a) => `${a.PodName} ${a.Resource}`)).toEqual([
      "web-7c9d8f6b5-abcde /usr/bin/apt update",
      "web-7c9d8f6b5-abcde /usr/bin/apt-b update",
      "web-7c9d8f6b5-xxxx1 /usr/bin/apt update",
      "web-7c9d8f6b5-xxxx1 /usr/bin/apt-b update",
      "web-7c9d8f6b5-xxxx2 /usr/bin/apt update",
      "web-7c9d8f6b5-xxxx2 /usr/bin/apt-b update",
    ]);
    expect(new Set(variants.map((a) => a.ContainerID)).size).toBe(3);
  });

  it("leaves a host's network alert alone", () => {
    const alert = { HostName: "node-1", Operation: "Network", Resource: "domain=AF_INET" };
    expect(spread([alert], 3, 3)).toEqual([alert]);
  });
});
