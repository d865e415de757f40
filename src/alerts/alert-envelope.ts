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
  "jsonPayload",
  "textPayload",
  "log_processed",
  "log",
  "line",
  "message",
  "MESSAGE",
  "msg",
  "_raw",
  "raw",
  "body",
  "stringValue",
  "event",
  "record",
  "payload",
  "alert",
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
  if (Array.isArray(value)) return value.flatMap((each) => search(each, depth + 1));
  if (looksLikeAlert(value)) return [value];
  for (const key of WRAPPERS) {
    if (!Object.hasOwn(value, key)) continue;
    const found = search((value as Record<string, unknown>)[key], depth + 1);
    if (found.length > 0) return found;
  }
  return [];
}

function searchText(text: string, depth: number): object[] {
  const parsed = parseJsonIn(text);
  return parsed === undefined ? [] : search(parsed, depth + 1);
}

/** Parses the JSON in a text: what follows a prefix (a time, a host, a tag) up to a comma at its end. */
export function parseJsonIn(text: string): unknown {
  const trimmed = text.trim().replace(/,$/, "");
  const brace = trimmed.indexOf("{");
  const starts = [0, brace, trimmed.indexOf("{", brace + 1)];
  for (const [i, start] of starts.entries()) {
    if (start < 0 || (i > 0 && start === 0)) continue;
    const parsed = parse(trimmed.slice(start));
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
