// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What every command works with, and how flags become a place to read reports from.

import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import { type Colors, colors } from "../render/colors.ts";
import type { PluginTerminal } from "../render/terminal.ts";
import { usageError } from "../reports/problem.ts";
import { type ReportFilterScope, type ReportSource, readAll } from "../reports/report-source.ts";
import type { Flags } from "./arguments.ts";

export interface Session {
  terminal: PluginTerminal;
  clock: Clock;
  /** Aborts when the user has had enough. */
  signal: AbortSignal;
  source: ReportSource;
  /** The namespace of the kubeconfig's context; undefined for a directory. */
  contextNamespace: string | undefined;
  /** Names of the kubeconfig's contexts. */
  contexts: readonly string[];
  /** Runs a program to its end, as `git` is needed by two commands; rejects when it can't be started. */
  run: RunProgram;
}

/** Runs a program without a shell. */
export type RunProgram = (
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> },
) => Promise<{ code: number; stdout: string; stderr: string }>;

/** The reports that -n and -A ask for; a directory is read whole unless told otherwise. */
export function scopeOf(flags: Flags, session: Pick<Session, "contextNamespace">): ReportFilterScope {
  if (flags.allNamespaces && flags.namespace !== undefined) {
    throw usageError("-n and -A can't go together: choose one namespace or all");
  }
  if (flags.allNamespaces || (flags.from !== undefined && flags.namespace === undefined)) {
    return { namespace: undefined };
  }
  const namespace = flags.namespace ?? session.contextNamespace ?? "default";
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw usageError(`-n "${namespace}" is no name of a namespace`);
  }
  return { namespace };
}

/** The reports of the call's scope, in one order on every machine. */
export async function reportsOf(session: Session, flags: Flags): Promise<Report[]> {
  return await readAll(session.source, scopeOf(flags, session));
}

/** The colours of the session's terminal. */
export function colorsOf({ terminal }: Session): Colors {
  return colors(terminal.hasColor);
}

/** Reads a whole number of a flag. */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw usageError(`${flag} "${text}" must be a whole number from ${min} to ${max}`);
}

/** Where the scope is, in words. */
export function placeOf({ namespace }: ReportFilterScope): string {
  return namespace === undefined ? "in any namespace" : `in namespace ${namespace}`;
}
