// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which violations a call is about.

import picomatch from "picomatch";
import type { Outcome, SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { usageError } from "./problem.ts";
import { compare, SEVERITIES, severityRank, type ViolationRef } from "./report-view.ts";
import { msOf, parseSince } from "./when.ts";

/** The flags as they were given. */
export interface FilterFlags {
  policy?: string;
  workload?: string;
  severity?: string;
  outcome?: string;
  since?: string;
  new?: boolean;
  accepted?: boolean;
}

export interface Filter {
  /** Whether a violation is asked for, but for being accepted. */
  matches: (found: ViolationRef) => boolean;
  /** Whether accepted violations are asked for, too. */
  withAccepted: boolean;
}

const OUTCOMES: readonly Outcome[] = ["Allowed", "Prevented", "Unknown"];
/** `--new` without `--since` means first seen in so much time. */
const NEW_SINCE = "24h";

/** Reads the flags; throws a PluginError that names the flag, the value and what would be right. */
export function parseFilter(flags: FilterFlags, nowMs: number): Filter {
  const tests: ((found: ViolationRef) => boolean)[] = [];
  const { policy, workload, severity, outcome, since } = flags;
  if (policy !== undefined) {
    const isPolicy = glob("--policy", policy);
    tests.push(({ report }) => isPolicy(report.policy.name) || isPolicy(report.metadata.name));
  }
  if (workload !== undefined) {
    const isWorkload = glob("--workload", workload);
    tests.push(({ violation: { workload: w } }) => isWorkload(w.name) || isWorkload(`${w.kind}/${w.name}`));
  }
  if (severity !== undefined) {
    const least = severityRank(parseSeverity(severity));
    tests.push(({ report }) => severityRank(report.summary.severity) >= least);
  }
  if (outcome !== undefined) {
    const wanted = OUTCOMES.find((one) => one.toLowerCase() === outcome.toLowerCase());
    if (!wanted) throw usageError(`--outcome "${outcome}" is none: it must be allowed, prevented or unknown`);
    tests.push(({ violation }) => violation.outcome === wanted);
  }
  const sinceText = since ?? (flags.new ? NEW_SINCE : undefined);
  if (sinceText !== undefined) {
    const fromMs = parseSince(sinceText, nowMs, "--since");
    tests.push(({ violation }) => msOf(flags.new ? violation.firstSeen : violation.lastSeen) >= fromMs);
  }
  return { matches: (found) => tests.every((test) => test(found)), withAccepted: flags.accepted === true };
}

/** Reads a level; throws a PluginError for what is none. */
export function parseSeverity(text: string): SeverityLevel {
  const level = SEVERITIES.find((one) => one === text.toLowerCase());
  if (level) return level;
  const known = SEVERITIES.toReversed().join(", ");
  throw usageError(`--severity "${text}" is none: it must be one of ${known}`);
}

/** A name with `*`, `?`, `[…]` and `{a,b}`, in any case, where `*` stands for `/` as well. Throws for an open bracket. */
function glob(flag: string, pattern: string): (text: string) => boolean {
  try {
    if (pattern === "") throw new Error("it is empty");
    const options = {
      strictBrackets: true,
      bash: true,
      dot: true,
      nocase: true,
      nonegate: true,
      noextglob: true,
    };
    return picomatch(pattern, options);
  } catch (error) {
    throw usageError(
      `${flag} "${pattern}" is no pattern (${error instanceof Error ? error.message : String(error)}): ` +
        `give a name, with * for any text and ? for any character`,
    );
  }
}

/** What the filter lets through, and how many accepted ones it held back. */
export function select(
  all: readonly ViolationRef[],
  filter: Filter,
): { found: ViolationRef[]; hidden: number } {
  const matching = all.filter(filter.matches);
  if (filter.withAccepted) return { found: matching, hidden: 0 };
  const found = matching.filter(({ accepted }) => accepted === undefined);
  return { found, hidden: matching.length - found.length };
}

/** The acceptances that cover any of these, by name. */
export function acceptancesOf(all: readonly ViolationRef[]): string[] {
  return [...new Set(all.flatMap(({ accepted }) => accepted ?? []))].sort(compare);
}
