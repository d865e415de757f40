// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Forms in which people keep alerts for months.

import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createFileSource } from "../../../src/alerts/file-source.ts";
import { SIGNAL } from "../../support/signal.ts";
import { RecordingListener } from "./recording-listener.ts";

const ALERT = { UpdatedTime: "2026-09-21T14:19:01.000341Z", PodName: "web-0", PolicyName: "p", Data: 'a="{"' };
const TEXT = JSON.stringify(ALERT);
const OTHER = JSON.stringify({ ...ALERT, PodName: "web-1" });

class Listener extends RecordingListener {
  logs = 0;
  onLog(): void {
    this.logs++;
  }
}

async function read(input: string | Buffer, chunkBytes = 1_000_000, maxLineBytes = 1_000_000) {
  const bytes = Buffer.from(input);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
  const listener = new Listener();
  await createFileSource({ input: Readable.from(chunks), maxLineBytes }).run(listener, SIGNAL);
  const pods = listener.received.flatMap((entry) => (entry.kind === "alert" ? [entry.alert.PodName] : []));
  return { pods, rejections: listener.rejections, logs: listener.logs };
}

describe("an alert is found", () => {
  it.each([
    ["behind the name of a pod", `[pod/kubearmor-relay-1/relay] ${TEXT}`],
    ["behind a time", `2026-09-21T14:13:20.000000001Z ${TEXT}`],
    ["in a CRI file", `2026-09-21T14:13:20.000000001Z stdout F ${TEXT}`],
    ["behind a syslog header", `<134>1 2026-09-21T14:13:20Z n1 kubearmor - - - ${TEXT}`],
    ["behind other braces", `2026-09-21 {job="relay"} ${TEXT}`],
    ["in a Docker file", JSON.stringify({ log: `${TEXT}\n`, stream: "stdout" })],
    ["in an Elasticsearch hit", JSON.stringify({ _index: "a", _source: ALERT })],
    ["in an Elasticsearch answer", JSON.stringify({ took: 1, hits: { total: 1, hits: [{ _source: ALERT }] } })],
    ["in a line of logcli", JSON.stringify({ labels: { app: "relay" }, line: TEXT, timestamp: "2026" })],
    ["in a Loki answer", JSON.stringify({ data: { result: [{ stream: {}, values: [["1", TEXT]] }] } })],
    ["in a Loki push", JSON.stringify({ streams: [{ stream: {}, values: [["1", TEXT]] }] })],
    ["in a Splunk export", JSON.stringify({ preview: false, result: { _raw: TEXT } })],
    ["in a Google Cloud entry", JSON.stringify({ jsonPayload: ALERT, severity: "INFO", timestamp: "x" })],
    ["in a text of a Google Cloud entry", JSON.stringify({ textPayload: TEXT, severity: "INFO" })],
    ["in a CloudWatch event", JSON.stringify({ events: [{ timestamp: 1, message: TEXT }] })],
    ["in a message of Fluentd", JSON.stringify({ kubernetes: {}, message: TEXT, type: "k8s" })],
    ["in OTLP", JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: TEXT } }] }] }] })],
    ["in an entry of journald with its bytes", JSON.stringify({ MESSAGE: [...Buffer.from(TEXT)] })],
    ["in a message of GELF", JSON.stringify({ version: "1.1", short_message: TEXT })],
    ["in a notification of SNS", JSON.stringify({ Type: "Notification", Message: TEXT })],
    ["in a row of Azure", JSON.stringify({ TimeGenerated: "x", LogMessage: ALERT })],
    ["in the original of an ECS event", JSON.stringify({ "@timestamp": "x", event: { original: TEXT } })],
    ["in a Datadog log", JSON.stringify({ id: "x", attributes: { attributes: ALERT, message: "" } })],
    [
      "in the fields of an Elasticsearch hit",
      JSON.stringify({
        _index: "a",
        fields: Object.fromEntries(Object.entries(ALERT).map(([key, value]) => [key, [value]])),
      }),
    ],
    ["in a line of logfmt", `time=x level=info msg=${JSON.stringify(TEXT)}`],
    ["behind another object", `{"level":"info"} ${TEXT}`],
    ["before a comma", `${TEXT},`],
    ["in an array", `[${TEXT}]`],
    ["printed over several lines", JSON.stringify(ALERT, null, 2)],
    ["in an array that is printed over several lines", JSON.stringify([ALERT], null, 2)],
    ["in an array with a line for each", `[\n${TEXT}\n]`],
  ])("%s", async (_where, input) => {
    expect(await read(`${input}\n`)).toEqual({ pods: ["web-0"], rejections: [], logs: 0 });
  });

  it("several times", async () => {
    for (const input of [
      `[${TEXT},${OTHER}]`,
      `${TEXT}${OTHER}\n`,
      `host-1 ${TEXT} ${OTHER}\n`,
      `${TEXT},\n${OTHER},\n`,
      `[\n${TEXT},\n${OTHER}\n]\n`,
      JSON.stringify([ALERT, JSON.parse(OTHER)], null, 2),
      `${JSON.stringify(ALERT, null, 2)}\n${JSON.stringify(JSON.parse(OTHER), null, 4)}\n`,
    ]) {
      expect(await read(input)).toEqual({ pods: ["web-0", "web-1"], rejections: [], logs: 0 });
    }
  });

  it("in a file compressed with gzip, also where several were joined, in chunks of any size", async () => {
    const two = Buffer.concat([gzipSync(`${TEXT}\n`), gzipSync(`${OTHER}\n`)]);
    for (const chunkBytes of [1, 7, 1_000_000]) {
      expect((await read(two, chunkBytes)).pods).toEqual(["web-0", "web-1"]);
    }
  });
});

describe("a file that is not text", () => {
  it("is decompressed from zstd", async () => {
    expect((await read(zstdCompressSync(`${TEXT}\n${OTHER}\n`), 7)).pods).toEqual(["web-0", "web-1"]);
  });

  it.each([
    ["bzip2", "BZh91AY"],
    ["zip", "PK\x03\x04"],
    ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])],
  ])("is named: %s", async (name, bytes) => {
    await expect(read(bytes)).rejects.toThrow(name);
  });
});

describe("what is not an alert", () => {
  it("is a log record where KubeArmor says so", async () => {
    const log = JSON.stringify({ ...ALERT, PolicyName: undefined, Type: "ContainerLog" });
    expect(await read(`${log}\n${log.replace("Container", "Host")}\n${TEXT}\n`)).toEqual({
      pods: ["web-0"],
      rejections: [],
      logs: 2,
    });
  });

  it("is named, with what to do", async () => {
    const { rejections } = await read(`${JSON.stringify({ wrapped: ALERT })}\nPodName,PolicyName,Type,Data\n`);
    expect(rejections.map(({ reason, detail }) => `${reason}: ${detail}`)).toEqual([
      "not_an_alert: no field of an alert; if it is within wrapped, use `jq -c '.[\"wrapped\"]'`",
      expect.stringContaining("invalid_json: is it CSV?"),
    ]);
  });

  it("is named by the keys that lead to it", async () => {
    const { rejections } = await read(`${JSON.stringify({ id: 1, a: { b: ALERT } })}\n`);
    expect(rejections[0]?.detail).toContain(`jq -c '.["a"]["b"]'`);
  });

  it("is rejected where it is cut behind an alert on its line", async () => {
    expect(await read(`${TEXT}${OTHER.slice(0, 40)}\n`)).toMatchObject({
      pods: ["web-0"],
      rejections: [{ reason: "invalid_json", line: 1 }],
    });
  });

  it("is one rejection where a record over several lines does not end, and the next one is read", async () => {
    expect(await read(`{\n"PodName": "x",\n${TEXT}\n{\n"PodName":`)).toMatchObject({
      pods: ["web-0"],
      rejections: [{ line: 1 }, { line: 4 }],
    });
  });
});

describe("the bounds", () => {
  it("hold for the line within gzip", async () => {
    const { pods, rejections } = await read(gzipSync(`${"x".repeat(3_000_000)}\n${TEXT}\n`), 1000, 2000);
    expect(pods).toEqual(["web-0"]);
    expect(rejections).toMatchObject([{ reason: "line_too_long", line: 1 }]);
  });

  it("hold for a record over several lines", async () => {
    const { rejections } = await read(`{\n${'"a": 1,\n'.repeat(1000)}`, 1000, 2000);
    expect(rejections[0]?.reason).toBe("invalid_json");
  });

  it("hold for layers, and for the depth of each", async () => {
    let wrapped: unknown = ALERT;
    for (let i = 0; i < 20; i++) wrapped = { payload: wrapped };
    const deep = `{"payload":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    const { pods, rejections } = await read(`${JSON.stringify(wrapped)}\n${deep}\n${TEXT}\n`);
    expect(pods).toEqual(["web-0"]);
    expect(rejections.map(({ reason }) => reason)).toEqual(["not_an_alert", "not_an_alert"]);
  });
});
