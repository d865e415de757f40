// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds alerts within what collectors and log stores wrap around them: Docker and CRI files, Elasticsearch, Loki,
// Splunk, Google Cloud, CloudWatch, OTLP, Fluentd, Vector.
// Invariant: total and bounded: of a line that fits its limit, to a depth of MAX_DEPTH.

import { looksLikeAlert } from "./json-decoder.ts";

/** Layers around an alert; OTLP has seven. */
const MAX_DEPTH = 10;

/** Keys under which collectors keep what they collected; the first that leads to an alert is followed. */
const WRAPPERS = [
  "_source",
  "fields",
  "jsonPayload",
  "textPayload",
  "json_payload",
  "log_processed",
  "log",
  "line",
  "message",
  "MESSAGE",
  "Message",
  "messageText",
  "short_message",
  "full_message",
  "LogMessage",
  "LogEntry",
  "msg",
  "_raw",
  "raw",
  "body",
  "stringValue",
  "event",
  "original",
  "content",
  "attributes",
  "Sns",
  "Records",
  "record",
  "payload",
  "alert",
  "alerts",
  "items",
  "result",
  "results",
  "data",
  "hits",
  "streams",
  "values",
  "entries",
  "events",
  "logEvents",
  "resourceLogs",
  "scopeLogs",
  "logRecords",
];

/** Returns the records in a JSON value that look like alerts; empty where there are none. */
export function findAlerts(value: unknown): object[] {
  return search(value, 0);
}

function search(value: unknown, depth: number): object[] {
  if (depth > MAX_DEPTH) return [];
  if (typeof value === "string") return searchText(value, depth);
  if (typeof value !== "object" || value === null) return [];
  if (isBytes(value)) return searchText(Buffer.from(value).toString("utf8"), depth);
  if (Array.isArray(value)) return value.flatMap((each) => search(each, depth + 1));
  if (looksLikeAlert(value)) return [withoutLists(value)];
  for (const key of WRAPPERS) {
    if (!Object.hasOwn(value, key)) continue;
    const found = search((value as Record<string, unknown>)[key], depth + 1);
    if (found.length > 0) return found;
  }
  return [];
}

function searchText(text: string, depth: number): object[] {
  const parsed = parseJsonIn(text);
  return parsed === undefined ? [] : search(parsed.value, depth + 1);
}

/** Elasticsearch answers `fields` with a list for each; lists of several are tags. */
function withoutLists(value: object): object {
  const entries = Object.entries(value);
  if (!entries.every(([, each]) => Array.isArray(each))) return value;
  return Object.fromEntries(entries.map(([key, each]) => [key, each.length === 1 ? each[0] : each]));
}

/** journald writes a text that has control characters as its bytes. */
function isBytes(value: object): value is number[] {
  return (
    Array.isArray(value) && value.length > 1 && value.every((each) => Number.isInteger(each) && each >= 0 && each < 256)
  );
}

/** Returns the keys that lead to an alert under a key that no collector of the list uses; empty without one. */
export function findPath(value: unknown, depth = 0): string[] {
  if (depth > MAX_DEPTH || typeof value !== "object" || value === null || Array.isArray(value)) return [];
  for (const [key, inner] of Object.entries(value)) {
    if (findAlerts(inner).length > 0) return [key];
    const rest = findPath(inner, depth + 1);
    if (rest.length > 0) return [key, ...rest];
  }
  return [];
}

/** JSON in a text: its value, or an array of several; `rest` is true where more text follows that is not JSON. */
export interface ParsedText {
  value: unknown;
  rest: boolean;
}

/** Braces in front of the JSON that may be something else, such as `{job="relay"}`. */
const MAX_FALSE_STARTS = 3;

/** Parses the JSON in a text: what follows a prefix (a time, a host, a tag) up to a comma at its end. */
export function parseJsonIn(text: string): ParsedText | undefined {
  const trimmed = text.trim().replace(/,$/, "");
  const whole = parse(trimmed);
  if (whole !== undefined) return { value: whole, rest: false };
  const quoted = /"(\{\\".*\})"/s.exec(trimmed)?.[1];
  const found = parseObjects(trimmed);
  if (found !== undefined || quoted === undefined) return found;
  const unquoted = parse(`"${quoted}"`);
  return typeof unquoted === "string" ? parseJsonIn(unquoted) : undefined;
}

/** The objects that follow one another in a text. */
function parseObjects(text: string): ParsedText | undefined {
  const values: object[] = [];
  let falseStarts = 0;
  let isCut = false;
  let at = text.indexOf("{");
  while (at >= 0 && falseStarts < MAX_FALSE_STARTS) {
    const end = findEnd(text, at);
    const value = end < 0 ? undefined : parse(text.slice(at, end));
    isCut ||= end < 0 && values.length === 0;
    if (value === undefined) falseStarts++;
    else values.push(value as object);
    const next = value === undefined ? at + 1 : end;
    at = text.indexOf("{", next);
    if (values.length > 0 && value === undefined) return { value: values, rest: true };
  }
  // Parts of a cut alert, such as its owner, are not records.
  if (values.length === 0 || (isCut && !values.some(looksLikeAlert))) return undefined;
  return { value: values.length === 1 ? values[0] : values, rest: at >= 0 };
}

/** Index behind the bracket that closes the one at `start`; -1 where it is not closed. */
function findEnd(text: string, start: number): number {
  let depth = 0;
  let isText = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === "\\" && isText) at++;
    else if (char === '"') isText = !isText;
    else if (isText) continue;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth === 0) return at + 1;
  }
  return -1;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
