// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import type { FileFeedOptions } from "../../../src/alerts/file-source.ts";
import { createFileSource } from "../../../src/alerts/file-source.ts";
import { emptyAlert } from "../../../src/api/alert.ts";
import { createFolder } from "../../support/folder.ts";
import { SIGNAL } from "../../support/signal.ts";
import { RecordingListener } from "./recording-listener.ts";

const directory = createFolder();

async function run(options: FileFeedOptions): Promise<RecordingListener> {
  const listener = new RecordingListener();
  await createFileSource(options).run(listener, SIGNAL);
  return listener;
}

/** Alerts as "line: pod", rejections as "line: reason: detail". */
function summarize(listener: RecordingListener): string[] {
  return listener.received.flatMap((t) => {
    if (t.kind === "alert") return [`${t.line}: ${t.alert.PodName}`];
    return t.kind === "rejected" ? [`${t.line}: ${t.reason}: ${t.detail}`] : [];
  });
}

const createInput = (text: string | Buffer): FileFeedOptions => ({ input: Readable.from([Buffer.from(text)]) });

describe("a file", () => {
  it("gives the alert of every line and ends", async () => {
    const path = join(directory, "alerts.jsonl");
    writeFileSync(path, '{"PodName":"a","PID":1}\n{"PodName":"b"}\n');
    const listener = await run({ input: path });
    expect(listener.received).toEqual([
      { kind: "connected" },
      { kind: "alert", alert: { ...emptyAlert(), PodName: "a", PID: 1 }, line: 1 },
      { kind: "alert", alert: { ...emptyAlert(), PodName: "b" }, line: 2 },
    ]);
  });

  it("that is not there rejects with its name and the reason", async () => {
    await expect(run({ input: join(directory, "none") })).rejects.toThrow(
      /^can't read .*none: ENOENT: no such file or directory/,
    );
  });

  it("that is a directory rejects", async () => {
    await expect(run({ input: directory })).rejects.toThrow(/^can't read .*EISDIR/);
  });

  it("that is empty gives nothing", async () => {
    const listener = await run(createInput(""));
    expect(listener.received).toEqual([{ kind: "connected" }]);
  });
});

describe("lines", () => {
  it("may be blank, end in CRLF, begin with a byte order mark, and lack the last line feed", async () => {
    const listener = await run(
      createInput('\ufeff{"PodName":"a"}\r\n\r\n  \t\n\ufeff\n\ufeff{"PodName":"b"}\r\n\n{"PodName":"c"}'),
    );
    expect(summarize(listener)).toEqual(["1: a", "5: b", "7: c"]);
  });

  it("may be cut into chunks anywhere, inside of a character, too", async () => {
    const bytes = Buffer.from('{"PodName":"é😀"}\n{"PodName":"ü"}\n');
    const oneByOne = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(summarize(await run({ input: Readable.from(oneByOne) }))).toEqual(["1: é😀", "2: ü"]);
  });

  it("with invalid UTF-8 are read with U+FFFD", async () => {
    const line = Buffer.concat([Buffer.from('{"PodName":"a'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(summarize(await run(createInput(line)))).toEqual(["1: a\ufffd"]);
  });

  it.each<[string, string, string]>([
    ["no JSON", "hello", `invalid_json: Unexpected token 'h', "hello" is not valid JSON`],
    [
      "cut-off JSON",
      '{"PodName":"a"',
      "invalid_json: Expected ',' or '}' after property value in JSON at position 14 (line 1 column 15)",
    ],
    ["escape sequences", "\u001b[31mred\u0007", `invalid_json: Unexpected token ' ', " [31mred " is not valid JSON`],
    [
      "karmor's text output",
      "== Alert / 2023-06-11 09:19:43.451704 ==",
      "invalid_json: karmor's text output: use `karmor logs --json`",
    ],
    [
      "cut",
      '{"PolicyName":"p","Owner":{"Ref":"x"},"Pod',
      "invalid_json: Unterminated string in JSON at position 42 (line 1 column 43)",
    ],
    [
      "divided by the container runtime",
      '2026-11-20T10:00:00Z stdout P {"Owner":{"Ref":"x"},"Pod',
      "invalid_json: a part of a line that the container runtime split: join the parts",
    ],
    [
      "divided by Docker",
      '{"log":"{\\"PolicyName\\":\\"p","stream":"stdout"}',
      "not_an_alert: a part of a line that Docker split: join the parts",
    ],
    ["UTF-16", "{\0}\0", "invalid_json: a NUL byte: is the file UTF-16? Convert it to UTF-8"],
    ["null", "null", "not_an_alert: null is not a JSON object"],
    ["a number", "42", "not_an_alert: a number is not a JSON object"],
    ["an array without alerts", "[{}]", "not_an_alert: an array without an alert in it"],
    ["an empty object", "{}", "not_an_alert: an object without any field of an alert"],
    [
      "another object",
      '{"level":"info"}',
      "not_an_alert: no field of an alert; if it is within level, use `jq -c '.[\"level\"]'`",
    ],
  ])("that are %s are rejected, and the next one is read", async (_, line, expected) => {
    const listener = await run(createInput(`\n${line}\n{"PodName":"b"}\n`));
    expect(summarize(listener)).toEqual([`2: ${expected}`, "3: b"]);
  });

  it("give details of at most 120 printable characters", async () => {
    const listener = await run(createInput(`${"\u001b\u0000é\u202e".repeat(3000)}\n{"a":${"1".repeat(500)}x}`));
    expect(listener.rejections).toHaveLength(2);
    for (const { detail } of listener.rejections) {
      expect(detail.length).toBeLessThanOrEqual(120);
      expect(detail).not.toMatch(/[\p{Cc}\u202e]/u);
    }
  });

  it("beyond the limit are rejected unread with their number", async () => {
    const long = `{"PodName":"${"x".repeat(5_000_000)}"}`;
    const listener = await run(createInput(`{"PodName":"a"}\n${long}\n{"PodName":"b"}\n${long}`));
    expect(summarize(listener)).toEqual([
      "1: a",
      "2: line_too_long: more than 1048576 bytes",
      "3: b",
      "4: line_too_long: more than 1048576 bytes",
    ]);
  });

  it("may nest as deep as the limit lets them", async () => {
    const deep = `{"PodName":${"[".repeat(500_000)}${"]".repeat(500_000)},"PID":1}`;
    const listener = await run(createInput(`${deep}\n{"PodName":"b"}`));
    expect(listener.received).toHaveLength(3);
    expect(summarize(listener).at(-1)).toBe("2: b");
  });

  it("have a limit of one's own", async () => {
    const listener = await run({ ...createInput('{"PodName":"a"}\n{"PodName":"ab"}\n'), maxLineBytes: 15 });
    expect(summarize(listener)).toEqual(["1: a", "2: line_too_long: more than 15 bytes"]);
  });
});

describe("a stream", () => {
  it("is followed as it grows and ends at the abort, however quiet it is", async () => {
    const input = new PassThrough();
    const stop = new AbortController();
    const listener = new RecordingListener();
    const firstAlert = new Promise<void>((resolve) => {
      listener.onReceived = () => listener.count("alert") === 1 && resolve();
    });
    const running = createFileSource({ input }).run(listener, stop.signal);
    input.write('{"PodName":"a"}\n{"PodName":"b"');
    await firstAlert;
    stop.abort();
    await running;
    expect(summarize(listener)).toEqual(["1: a"]);
    expect(input.destroyed).toBe(true);
  });

  it("gives nothing after an abort from within the listener", async () => {
    const stop = new AbortController();
    const listener = new RecordingListener();
    listener.onReceived = () => listener.count("alert") === 2 && stop.abort();
    const lines = '{"PodName":"a"}\n'.repeat(10);
    await createFileSource(createInput(lines)).run(listener, stop.signal);
    expect(listener.count("alert")).toBe(2);
  });

  it("is not begun when the signal is aborted already", async () => {
    const listener = new RecordingListener();
    await createFileSource(createInput('{"PodName":"a"}\n')).run(listener, AbortSignal.abort());
    expect(listener.received).toEqual([]);
  });

  it("that fails rejects with the reason", async () => {
    const input = new Readable({ read() {} });
    const running = run({ input });
    input.destroy(new Error("EIO: i/o error"));
    await expect(running).rejects.toThrow("can't read the input: EIO: i/o error");
  });
});
