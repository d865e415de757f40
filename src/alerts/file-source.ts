// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the feed from JSON lines: a file, or a stream such as standard input.
// Invariant: every line that is not blank ends as exactly one alert or one rejection, and no line is held beyond
// the limit.

import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { parseJsonAlert } from "./json-decoder.ts";
import { LineSplitter } from "./line-splitter.ts";
import { toPrintable } from "./printable.ts";

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
 * Returns a source of alerts in JSON lines, one object a line; blank lines are skipped. It calls onConnected once the
 * input is open and never onDisconnected. `run` resolves at the end of the input or when the signal aborts, and rejects
 * with a message for users when the input can't be read.
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
        const reason = error instanceof Error ? error.message : String(error);
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
  const splitter = new LineSplitter(maxLineBytes, {
    onLine(line, number) {
      // Of what has been read already, nothing may arrive after the stop.
      if (!signal.aborted) handleLine(line.toString("utf8"), number, listener);
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
    for await (const chunk of stream) splitter.push(Buffer.from(chunk));
    splitter.finish();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function handleLine(line: string, number: number, listener: AlertListener): void {
  // Files joined with `cat` have marks in the middle, too.
  const text = line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line;
  if (text.trim() === "") return;
  const parsed = parseJson(text);
  if (!parsed.ok) {
    listener.onRejected("invalid_json", parsed.detail, number);
    return;
  }
  const alert = parseJsonAlert(parsed.value);
  if (alert === null) listener.onRejected("not_an_alert", describeJson(parsed.value), number);
  else listener.onAlert(alert, number);
}

function parseJson(text: string): { ok: true; value: unknown } | { ok: false; detail: string } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, detail: toPrintable(getHint(text) ?? reason, MAX_DETAIL_LENGTH) };
  }
}

/** Returns advice for a line in a form that is often taken for JSON lines. */
function getHint(text: string): string | undefined {
  if (/^\s*== (Alert|Log|Message)\b/.test(text)) return "karmor's text output: use `karmor logs --json`";
  if (/^\s*[[{]\s*$/.test(text)) return "JSON over several lines: put one alert on a line, as `jq -c` does";
  if (text.includes("\0")) return "a NUL byte: is the file UTF-16? Convert it to UTF-8";
  return undefined;
}

function describeJson(value: unknown): string {
  if (value === null) return "null is no JSON object";
  if (Array.isArray(value))
    return "an array is no JSON object: put one alert on a line, as `jq -c '.[]'` does";
  if (typeof value !== "object") return `a ${typeof value} is no JSON object`;
  return "an object without any field of an alert";
}
