// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The surroundings of a command, and flags that several commands read alike.

import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import { describeHeartbeat, type Heartbeat } from "../reports/heartbeat.ts";
import { createUsageError } from "../reports/problem.ts";
import { type ReportFilterScope, type ReportSource, readAll } from "../reports/sources/report-source.ts";
import { formatCount } from "../reports/words.ts";
import { plain } from "../text/escape.ts";
import type { Flags } from "./arguments.ts";
import { type Colors, createColors } from "./colors.ts";
import type { PluginTerminal } from "./terminal.ts";

export interface Session {
  terminal: PluginTerminal;
  clock: Clock;
  /** Aborts when the user interrupts. */
  signal: AbortSignal;
  source: ReportSource;
  /** Messages on the reports that the last list left out; with any, no command ends with 0. */
  leftOut: Set<string>;
  /** The namespace of the kubeconfig's context; undefined for a directory. */
  contextNamespace: string | undefined;
  /** Name of the current context; undefined for a directory. */
  context?: string | undefined;
  /** Names of the kubeconfig's contexts. */
  contexts: readonly string[];
  /** Runs `git`; rejects when it can't be started. */
  run: RunProgram;
}

export type RunProgram = (
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> },
) => Promise<{ code: number; stdout: string; stderr: string }>;

/** Reads -n and -A; a directory is read whole without them. */
export function parseScope(flags: Flags, session: Pick<Session, "contextNamespace">): ReportFilterScope {
  if (flags.allNamespaces && flags.namespace !== undefined) {
    throw createUsageError("-n and -A can't go together: choose one namespace or all.");
  }
  if (flags.allNamespaces || (flags.from !== undefined && flags.namespace === undefined)) {
    return { namespace: undefined };
  }
  const namespace = flags.namespace ?? session.contextNamespace ?? "default";
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw createUsageError(`invalid value "${namespace}" for -n: expected the name of a namespace.`);
  }
  return { namespace };
}

/** Reads the reports of the call's scope, in one order on every machine. */
export async function readReports(session: Session, flags: Flags): Promise<Report[]> {
  return await readScope(session, parseScope(flags, session));
}

/** Reads the reports of a scope; names on standard error, once, those that are left out. */
export async function readScope({ source, leftOut, terminal }: Session, scope: ReportFilterScope): Promise<Report[]> {
  const before = new Set(leftOut);
  leftOut.clear();
  const reports = await readAll(source, scope, (why) => leftOut.add(why));
  const fresh = [...leftOut.difference(before)];
  for (const why of fresh.slice(0, MAX_NAMED)) terminal.err(`error: left out: ${why}\n`);
  if (fresh.length > MAX_NAMED) {
    terminal.err(`error: left out: ${formatCount(fresh.length - MAX_NAMED, "more report")}.\n`);
  }
  return reports;
}

export function getColors({ terminal }: Session): Colors {
  return createColors(terminal.hasColor);
}

export function parseWholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw createUsageError(`invalid value "${text}" for ${flag}: expected a whole number from ${min} to ${max}.`);
}

/** Reports left out that are named one by one. */
const MAX_NAMED = 5;
/** Lines on a screen without --limit. */
const SCREEN_LIMIT = 100;

/** Reads --limit; 0 is all. */
export function parseLimit(flags: Flags, { terminal }: Pick<Session, "terminal">): number {
  if (flags.limit === undefined) {
    const isTable = flags.output === undefined || flags.output === "wide" || flags.output === "text";
    return terminal.isInteractive && isTable ? SCREEN_LIMIT : Number.POSITIVE_INFINITY;
  }
  return parseWholeNumber("--limit", flags.limit, 0, 1_000_000) || Number.POSITIVE_INFINITY;
}

/** The scope in words; files may be those of one namespace. */
export function describeScope({ namespace }: ReportFilterScope, source?: ReportSource): string {
  if (namespace !== undefined) return `in namespace ${namespace}`;
  return source?.isSnapshot ? `in the files of ${plain(source.where)}` : "in any namespace";
}

/** Reports, and a reason why they may not be all that is to know, as a clause. */
export interface CurrentReports {
  reports: Report[];
  doubt: string | undefined;
  /** Warns on standard error where reports may be old: `isEmpty` says that nothing in them is an answer. */
  warn: (isEmpty: boolean) => void;
}

/** Reads reports, and finds out if the operator is running. */
export async function readCurrentReports(session: Session, flags: Flags): Promise<CurrentReports> {
  const { source, clock, terminal } = session;
  const [reports, beat] = await Promise.all([readReports(session, flags), source.heartbeat?.(clock.nowMs())]);
  const doubt = beat && describeHeartbeat(beat);
  return {
    reports,
    doubt,
    warn(isEmpty) {
      if (isEmpty && source.isSnapshot) terminal.err(`note: ${describeSnapshot(source)}.\n`);
      // An unknown operator, as where its Lease has another name, is a doubt where there is nothing to see.
      if (doubt !== undefined && (isEmpty || beat?.state !== "unknown")) terminal.err(`note: ${doubt}.\n`);
    },
  };
}

/** Says how old files may be, as a clause. */
export function describeSnapshot({ where }: ReportSource): string {
  return `these are files: the state when ${plain(where)} was written`;
}

/** Warns on standard error when the operator may not be running. */
export async function checkHeartbeat(session: Session): Promise<Heartbeat | undefined> {
  const beat = await session.source.heartbeat?.(session.clock.nowMs());
  const doubt = beat && describeHeartbeat(beat);
  if (doubt !== undefined) session.terminal.err(`note: ${doubt}.\n`);
  return beat;
}
