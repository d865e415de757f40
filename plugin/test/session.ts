// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs the plugin's commands as main.ts does, on reports from a directory or from memory, and keeps what they print.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { complete } from "../src/commands/completion.ts";
import { dispatch, RUN } from "../src/dispatch.ts";
import { push } from "../src/gitops/push.ts";
import type { Heartbeat } from "../src/reports/heartbeat.ts";
import { PluginError } from "../src/reports/problem.ts";
import { createDirectoryReports } from "../src/reports/sources/directory-reports.ts";
import type { Acceptance, ReportSource } from "../src/reports/sources/report-source.ts";
import { COMMANDS, type Flags, PUSH, parseCall } from "../src/session/arguments.ts";
import type { RunProgram, Session } from "../src/session/session.ts";
import type { PluginTerminal } from "../src/session/terminal.ts";

/** The reports of the 26 sample alerts. */
export const SAMPLE_REPORTS_DIR = join(import.meta.dirname, "../../test/golden/samples/reports");

export interface Outcome {
  code: number;
  out: string;
  err: string;
}

export interface PluginOptions {
  /** Default: the samples. */
  reports?: readonly Report[] | ReportSource;
  /** State of the operator for reports in memory; default alive. */
  heartbeat?: Heartbeat;
  acceptances?: readonly Acceptance[];
  columns?: number;
  isInteractive?: boolean;
  hasColor?: boolean;
  clock?: Clock;
  signal?: AbortSignal;
  /** Sees all that was printed so far, each time something is. */
  onOut?: (text: string) => void;
}

/** 2026-11-23 10:00 UTC, unless a test has its own clock. */
const START_MS = Date.UTC(2026, 10, 23, 10);

/** Runs a command; a PluginError becomes its exit code and its message on standard error. */
export async function runPlugin(argv: readonly string[], options: PluginOptions = {}): Promise<Outcome> {
  const call = parseCall(argv, "1.2.3", [...COMMANDS, PUSH]);
  if ("exit" in call) return { code: call.exit, out: call.stdout, err: call.stderr };
  const outcome: Outcome = { code: 0, out: "", err: "" };
  const terminal = createTerminal(outcome, options);
  try {
    outcome.code = await dispatch(call, (flags) => createSession(flags, terminal, options), { ...RUN, push });
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    return { code: error.exit, out: outcome.out, err: `${outcome.err}error: ${error.message}\n` };
  }
  return outcome;
}

/** Offers to the shell for the last of `words`. */
export async function completions(words: readonly string[], options: PluginOptions = {}): Promise<string[]> {
  const terminal = createTerminal({ code: 0, out: "", err: "" }, options);
  return (await complete(words, (flags) => createSession(flags, terminal, options))).trimEnd().split("\n");
}

function createTerminal(outcome: Outcome, options: PluginOptions): PluginTerminal {
  return {
    out: (text) => {
      outcome.out += text;
      options.onOut?.(outcome.out);
    },
    err: (text) => {
      outcome.err += text;
    },
    isInteractive: options.isInteractive ?? false,
    hasColor: options.hasColor ?? false,
    columns: options.columns,
  };
}

function createSession(flags: Flags, terminal: PluginTerminal, options: PluginOptions): Session {
  return {
    terminal,
    clock: options.clock ?? new FakeClock(START_MS),
    signal: options.signal ?? new AbortController().signal,
    source: flags.from === undefined ? createSource(options) : createDirectoryReports(flags.from),
    contextNamespace: flags.from === undefined ? "default" : undefined,
    contexts: ["dev", "prod"],
    leftOut: new Set(),
    run,
  };
}

function createSource(options: PluginOptions): ReportSource {
  const { reports } = options;
  if (reports === undefined) {
    // The samples as those of a cluster.
    return { ...createMemoryReports([], options), ...createDirectoryReports(SAMPLE_REPORTS_DIR), isSnapshot: false };
  }
  return "list" in reports ? reports : createMemoryReports(reports, options);
}

/** Reports as a cluster would give them. */
export function createMemoryReports(
  reports: readonly Report[],
  { heartbeat = { state: "alive", holder: "pod" }, acceptances = [] }: PluginOptions = {},
): ReportSource {
  return {
    where: "memory",
    async namespaces() {
      return [...new Set(reports.flatMap(({ metadata }) => metadata.namespace ?? []))];
    },
    async *list({ namespace }) {
      for (const report of reports) {
        if (namespace === undefined || report.metadata.namespace === namespace) yield report;
      }
    },
    async read(namespace, name) {
      return reports.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    },
    async heartbeat() {
      return heartbeat;
    },
    async acceptances({ namespace }) {
      return acceptances.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace);
    },
  };
}

const run: RunProgram = (file, args, { cwd, env }) =>
  new Promise((resolve, reject) => {
    execFile(file, [...args], { cwd, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      if (error === null || typeof error.code === "number") resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      else reject(error);
    });
  });

/** A new directory that is removed when the test has finished; with the sample reports if asked. */
export function makeDirectory(withSamples = false): string {
  const path = mkdtempSync(join(tmpdir(), "pvo-plugin-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  if (withSamples) cpSync(SAMPLE_REPORTS_DIR, path, { recursive: true });
  return path;
}

/** A directory with these reports, as they are. */
export function writeDirectory(...reports: readonly Report[]): string {
  const path = makeDirectory();
  for (const one of reports) {
    const { name, namespace = "" } = one.metadata;
    const place = join(path, namespace, "policyviolationreports");
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `${name}.yaml`), stringify(one));
  }
  return path;
}

/** A violation with what a test says of it. */
export function violation(mods: Partial<Violation> & Record<string, unknown> = {}): Violation {
  return {
    id: "00000000000000aa",
    workload: { kind: "Deployment", name: "web" },
    container: "web",
    operation: "Process",
    action: "Block",
    outcome: "Prevented",
    source: "/bin/sh",
    resource: "/usr/bin/apt",
    occurrences: 3,
    firstSeen: "2026-11-20T10:00:00.000000Z",
    lastSeen: "2026-11-23T09:59:00.000000Z",
    ...mods,
  };
}

/** A violation that an audit allowed. */
export function createAudited(mods: Partial<Violation> & Record<string, unknown> = {}): Violation {
  return violation({ action: "Audit", outcome: "Allowed", ...mods });
}

/** Runs a command over every namespace; `text` is all that it printed, in one line. */
export async function runEverywhere(command: readonly string[], options: PluginOptions) {
  const { code, out, err } = await runPlugin([...command, "-A"], options);
  return { code, out, err, text: (out + err).replace(/\s+/g, " ") };
}

export const SILENT: Heartbeat = { state: "silent", lease: "kubearmor/pvo", forMs: 720_000 };
export const CUT_OFF: Heartbeat = { state: "cutOff", sinceMs: Date.UTC(2026, 10, 23, 9) };

/** A report with what a test says of it; its summary is that of its violations. */
export function report(
  name: string,
  violations: readonly Violation[],
  mods: {
    namespace?: string | undefined;
    severity?: Report["summary"]["severity"];
    policy?: object;
    summary?: object;
    coverage?: object;
    omitted?: Report["omitted"];
    expired?: Report["expired"];
  } = {},
): Report {
  const namespace = "namespace" in mods ? mods.namespace : "shop";
  const sum = (outcome: Violation["outcome"]) =>
    violations.filter((v) => v.outcome === outcome).reduce((n, v) => n + v.occurrences, 0);
  const times = violations.flatMap((v) => [v.firstSeen, v.lastSeen]).sort();
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: namespace === undefined ? "ClusterPolicyViolationReport" : "PolicyViolationReport",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    policy: { name, kind: "KubeArmorPolicy", severity: 5, ...mods.policy },
    summary: {
      occurrences: sum("Allowed") + sum("Prevented") + sum("Unknown"),
      prevented: sum("Prevented"),
      allowed: sum("Allowed"),
      unknown: sum("Unknown"),
      violations: violations.length,
      workloads: 1,
      pods: 1,
      nodes: 1,
      severity: mods.severity ?? "medium",
      firstSeen: times[0] ?? "2026-11-20T10:00:00.000000Z",
      lastSeen: times.at(-1) ?? "2026-11-23T09:59:00.000000Z",
      ...mods.summary,
    },
    violations: [...violations],
    ...(mods.omitted === undefined ? {} : { omitted: mods.omitted }),
    ...(mods.expired === undefined ? {} : { expired: mods.expired }),
    coverage: { gaps: 0, throttleNotices: 0, lowerBound: false, ...mods.coverage },
  };
}
