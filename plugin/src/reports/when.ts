// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Points in time and durations as people write and read them.

import { parseDuration } from "../../../src/lib/quantity.ts";
import { formatMicroTime, parseMicroTime } from "../../../src/lib/time.ts";
import { createUsageError } from "./problem.ts";

/** Reads the duration of a flag; throws a PluginError for anything else. */
export function requireDuration(text: string, flag: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw createUsageError(`invalid value "${text}" for ${flag}: expected a duration such as 30s, 12h, 7d or 2w.`);
}

/** Reads --window; in no time nothing occurs. */
export function requireWindow(text: string): number {
  const ms = requireDuration(text, "--window");
  if (ms > 0) return ms;
  throw createUsageError(`invalid value "${text}" for --window: expected a time above 0, such as 7d.`);
}

/** Reads a point in time: an RFC 3339 time, or a duration before now. */
export function parseSince(text: string, nowMs: number, flag: string): number {
  const duration = parseDuration(text);
  if (duration) return nowMs - duration;
  const us = parseMicroTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (us !== undefined) return us / 1000;
  throw createUsageError(
    `invalid value "${text}" for ${flag}: expected a duration (30m, 24h, 7d, 2w) or a time (2026-11-23, 2026-11-23T10:00:00Z).`,
  );
}

/** Milliseconds of a time in a report; 0 for an invalid one. */
export function toMs(time: string): number {
  return (parseMicroTime(time) ?? 0) / 1000;
}

/** `2026-11-23 10:00:00 UTC`. */
export function formatTime(time: string): string {
  return formatMs(toMs(time));
}

/** `2026-11-23 10:00:00 UTC`. */
export function formatMs(ms: number): string {
  return `${formatMicroTime(Math.max(1, Math.floor(ms * 1000)))
    .slice(0, 19)
    .replace("T", " ")} UTC`;
}
