// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts from a file, or a stream such as standard input: JSON lines, and the forms in which collectors keep them.
// Invariant: every line that is not blank ends as alerts, a log record, a part of a record or one rejection; no line is
// held beyond the limit, compressed or not.

import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { getErrorMessage } from "../lib/error-message.ts";
import { LineSplitter } from "../lib/line-splitter.ts";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { findAlerts, findPath, type ParsedText, parseJsonIn } from "./decoding/alert-envelope.ts";
import { parseJsonAlert } from "./decoding/json-decoder.ts";
import { JsonLineJoiner } from "./decoding/json-lines.ts";
import { toPrintable } from "./decoding/printable.ts";

export interface FileFeedOptions {
  /** A file's path, or a stream of bytes (standard input is one); the feed closes either. */
  input: string | Readable;
  /** The longest line that is read; default 1 MiB. */
  maxLineBytes?: number;
}

const DEFAULT_MAX_LINE_BYTES = 1024 * 1024;
const MAX_DETAIL_LENGTH = 120;
const BYTE_ORDER_MARK = "\ufeff";

/**
 * Returns the alerts of a file: one a line, in an array, printed over several lines, compressed with gzip, or within
 * what a collector puts around them. Blank lines are skipped.
 *
 * Calls onConnected once the input is open, and never onDisconnected. `run` resolves at the end of the input or when
 * the signal aborts, and rejects when the input can't be read.
 */
export function createFileSource(options: FileFeedOptions): AlertSource {
  const maxLineBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  return {
    async run(listener, signal) {
      const name = typeof options.input === "string" ? options.input : "the input";
      try {
        const stream = await openInput(options.input);
        if (!signal.aborted) listener.onConnected();
        await readLines(stream, maxLineBytes, listener, signal);
      } catch (error) {
        const reason = getErrorMessage(error);
        throw new Error(`can't read ${name}: ${reason}`, { cause: error });
      }
    },
  };
}

async function openInput(input: string | Readable): Promise<Readable> {
  return typeof input === "string" ? (await open(input)).createReadStream() : input;
}

async function readLines(
  stream: Readable,
  maxLineBytes: number,
  listener: AlertListener,
  signal: AbortSignal,
): Promise<void> {
  const lines = new Lines(listener, maxLineBytes);
  const splitter = new LineSplitter(maxLineBytes, {
    onLine(line, number) {
      // Alerts that were already read must not arrive after the stop.
      if (!signal.aborted) lines.read(line.toString("utf8"), number);
    },
    onTooLong(number) {
      if (!signal.aborted) listener.onRejected("line_too_long", `more than ${maxLineBytes} bytes`, number);
    },
  });
  // An abort must end a read that waits for a quiet pipe.
  const stop = () => stream.destroy();
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of decompress(stream)) splitter.push(Buffer.from(chunk));
    splitter.finish();
    if (!signal.aborted) lines.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** First bytes of files that are not text. */
const FORMS = [
  { head: [0x1f, 0x8b], decode: createGunzip },
  { head: [0x28, 0xb5, 0x2f, 0xfd], decode: createZstdDecompress },
  { head: [0x42, 0x5a, 0x68], problem: "it is compressed with bzip2; use `bzcat FILE | … replay -`" },
  { head: [0xfd, 0x37, 0x7a, 0x58], problem: "it is compressed with xz; use `xzcat FILE | … replay -`" },
  { head: [0x50, 0x4b, 0x03, 0x04], problem: "it is a zip archive; use `unzip -p FILE | … replay -`" },
] as const;
const MAX_HEAD = 4;

/** Yields the bytes of a stream, decompressed: all members of a file that several were joined to. */
async function* decompress(stream: Readable): AsyncGenerator<Buffer> {
  const chunks = stream[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < MAX_HEAD) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    head = Buffer.concat([head, Buffer.from(value)]);
  }
  const rest = (async function* () {
    yield head;
    for (;;) {
      const { done, value } = await chunks.next();
      if (done === true) return;
      yield Buffer.from(value);
    }
  })();
  const form = FORMS.find((one) => one.head.every((byte, i) => head[i] === byte));
  if (form === undefined) yield* rest;
  else if ("problem" in form) throw new Error(form.problem);
  else {
    const decoder = form.decode();
    const compressed = Readable.from(rest);
    compressed.on("error", (error) => decoder.destroy(error));
    yield* compressed.pipe(decoder);
  }
}

class Lines {
  readonly #listener: AlertListener;
  readonly #joiner: JsonLineJoiner;
  /** Fault of the first line of a value that has not ended. */
  #detail = "";

  constructor(listener: AlertListener, maxBytes: number) {
    this.#listener = listener;
    this.#joiner = new JsonLineJoiner(maxBytes);
  }

  read(line: string, number: number): void {
    // Files joined with `cat` have marks in the middle, too.
    const text = line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line;
    if (text.trim() === "") return;
    // Within a value that was begun, a line that is JSON by itself (`},`, `"x"`) may be a part of it.
    const isPart = this.#joiner.open !== undefined && !/^\{.*\},?\s*$/.test(text);
    const parsed = isPart ? undefined : parseJsonIn(text);
    if (parsed === undefined) this.#join(text, number);
    else {
      this.end();
      this.#take(parsed, number);
    }
  }

  /** Rejects a record that has begun and not ended. */
  end(): void {
    const { open } = this.#joiner;
    if (open !== undefined) this.#listener.onRejected("invalid_json", this.#detail, open);
    this.#joiner.reset();
  }

  #join(text: string, number: number): void {
    const before = this.#joiner.open;
    if (before === undefined) this.#detail = describeSyntax(text);
    const joined = this.#joiner.add(text, number);
    if (joined.kind === "more") return;
    if (joined.kind === "other") {
      this.#listener.onRejected("invalid_json", this.#detail, before ?? number);
      return;
    }
    const parsed = parseJsonIn(joined.text);
    if (parsed === undefined) {
      this.#listener.onRejected("invalid_json", describeSyntax(joined.text), joined.number);
    } else this.#take(parsed, joined.number);
  }

  #take({ value, rest }: ParsedText, number: number): void {
    if (rest) this.#listener.onRejected("invalid_json", "a truncated alert after another one on the line", number);
    const found = findAlerts(value);
    // A record with nothing but fields that others have, too, is an alert when nothing within it is.
    const records = found.length > 0 ? found : [value];
    for (const record of records) {
      const alert = parseJsonAlert(record);
      if (alert === null) this.#listener.onRejected("not_an_alert", describeJson(record), number);
      else if (/^(?:ContainerLog|HostLog)$/.test(alert.Type) && alert.PolicyName === "") {
        this.#listener.onLog?.(number);
      } else this.#listener.onAlert(alert, number);
    }
  }
}

function describeSyntax(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    const reason = getErrorMessage(error);
    return toPrintable(getHint(text) ?? reason, MAX_DETAIL_LENGTH);
  }
}

/** Returns advice for a line in a form that is often taken for JSON lines. */
function getHint(text: string): string | undefined {
  if (/^\s*== (Alert|Log|Message)\b/.test(text)) return "karmor's text output: use `karmor logs --json`";
  if (/^\S+ std(?:out|err) P /.test(text)) return "a part of a line that the container runtime split: join the parts";
  if (text.includes("\0")) return "a NUL byte: is the file UTF-16? Convert it to UTF-8";
  if (/^\s*\{'/.test(text)) return "single quotes: is it Python's repr? Print it with json.dumps";
  if (/^"?[A-Za-z_]+"?(?:,"?[A-Za-z_]+"?){3}/.test(text)) return "is it CSV? Convert each row to a JSON object";
  return undefined;
}

function describeJson(value: unknown): string {
  if (value === null) return "null is not a JSON object";
  if (Array.isArray(value)) return "an array without an alert in it";
  if (typeof value !== "object") return `a ${typeof value} is not a JSON object`;
  if ("log" in value && typeof value.log === "string" && !value.log.endsWith("\n"))
    return "a part of a line that Docker split: join the parts";
  const path = findPath(value);
  const keys = path.length > 0 ? path : Object.keys(value).slice(0, 1);
  if (keys.length === 0) return "an object without any field of an alert";
  const shown = keys.map((key) => toPrintable(key, 24));
  return `no field of an alert; if it is within ${shown.join(".")}, use \`jq -c '.${shown.map((key) => `["${key}"]`).join("")}'\``;
}
