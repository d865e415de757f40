// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// ADAPTER: the log as JSON lines by pino.
// Invariant: of an error only name, message, code, cause and, for a bug, its stack are written; never its other
// fields, which may hold a request with its credentials.

import { type DestinationStream, pino } from "pino";
import type { Logger } from "../lib/logger.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

const MAX_MESSAGE_LENGTH = 2000;
const MAX_CAUSES = 5;

interface LoggedError {
  name: string;
  message: string;
  code?: string | number;
  stack?: string;
  cause?: LoggedError;
}

/** These are thrown by a mistake in the program; errors that are part of life have a code or a class of their own. */
const BUG_NAMES: ReadonlySet<string> = new Set(["Error", "TypeError", "RangeError", "ReferenceError"]);

function cut(text: string): string {
  return text.length <= MAX_MESSAGE_LENGTH ? text : `${text.slice(0, MAX_MESSAGE_LENGTH)}…`;
}

function describeError(value: unknown, depth = 0): LoggedError {
  if (!(value instanceof Error)) return { name: typeof value, message: cut(String(value)) };
  const { code } = value as { code?: unknown };
  const logged: LoggedError = { name: value.name, message: cut(value.message) };
  if (typeof code === "string" || typeof code === "number") logged.code = code;
  else if (BUG_NAMES.has(value.name) && value.stack !== undefined) logged.stack = cut(value.stack);
  if (value.cause !== undefined && depth < MAX_CAUSES) logged.cause = describeError(value.cause, depth + 1);
  return logged;
}

/**
 * Returns a logger that writes one JSON object a line: `level`, `time` (RFC 3339), the fields, `msg`.
 *
 * A field named `err` is written as an error. Lines below `level` (default info) are left out.
 */
export function createLogger(options: { stream: DestinationStream; level?: LogLevel }): Logger {
  return pino(
    {
      level: options.level ?? "info",
      // The log collector adds the pod's name and the process id.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error) },
    },
    options.stream,
  );
}
