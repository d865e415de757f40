// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Flags that select violations. A report with a cut list may hide a violation that was asked for: `mayHide` names the
// reports where that can't be excluded.

import picomatch from "picomatch";
import type { Outcome, Report, SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { getErrorMessage } from "../../../src/lib/error-message.ts";
import { HISTORY_KEY, readHistorySince } from "./history.ts";
import { createUsageError } from "./problem.ts";
import {
  countUnlistedPods,
  getRuleFacts,
  getSeverityLevel,
  getSeverityRank,
  SEVERITIES,
  type ViolationRef,
} from "./report-view.ts";
import { parseSince, toMs } from "./when.ts";
import { formatWorkload } from "./words.ts";

/** The flags as they were given. */
export interface FilterFlags {
  policy?: string;
  workload?: string;
  pod?: string;
  node?: string;
  container?: string;
  tag?: string;
  selector?: string;
  severity?: string;
  outcome?: string;
  since?: string;
  new?: boolean;
  accepted?: boolean;
}

export interface Filter {
  /** True for a violation that was asked for, accepted or not. */
  matches: (found: ViolationRef) => boolean;
  /** True for a report in which a violation that was asked for may be missing from the list. */
  mayHide: (report: Report) => boolean;
  /** True for a report in which a violation that was asked for may have left the list for its age. */
  mayHaveExpired: (report: Report) => boolean;
  /** True for a report that may hold violations that were asked for. */
  matchesReport: (report: Report) => boolean;
  /** True when accepted violations were asked for, too. */
  withAccepted: boolean;
  /** True when every violation was asked for, so that the totals of the summaries are those of the answer. */
  isWhole: boolean;
  /** Outcomes that were asked for. */
  outcomes: readonly Outcome[];
  /** True when nothing narrows what is inside a report but its outcome. */
  isByOutcome: boolean;
  /** The time from which violations were asked for: by their first occurrence with `isNew`, else by their last. */
  fromMs: number | undefined;
  isNew: boolean;
}

export const OUTCOMES: readonly Outcome[] = ["Allowed", "Unknown", "Prevented"];
/** `--new` without `--since`. */
export const NEW_SINCE = "24h";
/** No violation is taken to leave its list within a day; the operator's default is 30 days. */
const MIN_RETENTION_MS = 86_400_000;

type Test = (found: ViolationRef) => boolean;

/** Reads the flags; throws a PluginError that names the flag, the value and what would be right. */
export function parseFilter(flags: FilterFlags, nowMs: number): Filter {
  const reportTests: ((report: Report) => boolean)[] = [];
  const tests: Test[] = [];
  if (flags.policy !== undefined) reportTests.push(parsePolicy(flags.policy));
  tests.push(...parseSubjects(flags));
  if (flags.severity !== undefined) {
    const least = getSeverityRank(parseSeverity(flags.severity));
    // The summary has the highest severity of the report; violations without one are in any report.
    const isOfAny = least <= getSeverityRank("unknown");
    reportTests.push(({ summary }) => isOfAny || getSeverityRank(summary.severity) >= least);
    tests.push((found) => getSeverityRank(getSeverityLevel(found)) >= least);
  }
  const outcomes = parseOutcomes(flags.outcome);
  const isNew = flags.new === true;
  const sinceText = flags.since ?? (isNew ? NEW_SINCE : undefined);
  const fromMs = sinceText === undefined ? undefined : parseStart(sinceText, nowMs);
  if (fromMs !== undefined) {
    reportTests.push(({ summary }) => toMs(summary.lastSeen) >= fromMs);
    tests.push(({ violation }) => toMs(isNew ? violation.firstSeen : violation.lastSeen) >= fromMs);
  }
  const matchesReport = (report: Report) => reportTests.every((test) => test(report));
  const isByOutcome = tests.length === 0;
  const withAccepted = flags.accepted === true;
  /** True where the totals have some of these outcomes that no list shows, in the time asked for. */
  const hasUnlisted = (report: Report) =>
    matchesReport(report) &&
    outcomes.some((outcome) => (withAccepted ? countUnlisted : countUnlistedOpen)(report, outcome) > 0) &&
    !(fromMs !== undefined && isQuietSince(report, outcomes, fromMs));
  const isRecent = fromMs !== undefined && nowMs - fromMs <= MIN_RETENTION_MS;
  const isWhole = isByOutcome && flags.policy === undefined && outcomes.length === OUTCOMES.length;
  return {
    matches: (found) =>
      matchesReport(found.report) && outcomes.includes(found.violation.outcome) && tests.every((test) => test(found)),
    matchesReport,
    mayHide: (report) => report.omitted !== undefined && hasUnlisted(report),
    mayHaveExpired: (report) => report.expired !== undefined && !isRecent && hasUnlisted(report),
    withAccepted,
    isWhole,
    outcomes,
    isByOutcome,
    fromMs,
    isNew,
  };
}

export function parsePolicy(pattern: string): (report: Report) => boolean {
  const isPolicy = parseGlob("--policy", pattern);
  return ({ policy, metadata }) => isPolicy(policy.name) || isPolicy(metadata.name);
}

/** Reads --since. Nothing was seen since a time to come, and a gate would pass. */
function parseStart(text: string, nowMs: number): number {
  const fromMs = parseSince(text, nowMs, "--since");
  if (fromMs <= nowMs) return fromMs;
  throw createUsageError(`invalid value "${text}" for --since: it is in the future.`);
}

/** Occurrences of an outcome that are in the totals and of no listed violation; some may have left for their age. */
export function countUnlisted({ summary, violations }: Report, outcome: Outcome): number {
  return Math.max(0, summary[HISTORY_KEY[outcome]] - sumOutcome(violations, outcome));
}

/**
 * The same, of what is not accepted. Where the summary does not say it, as in reports of earlier versions, or
 * contradicts the list, all of it may be open.
 */
export function countUnlistedOpen(report: Report, outcome: Outcome): number {
  const listed = report.violations.filter(({ accepted }) => accepted === undefined);
  const rest = (report.summary.open?.[HISTORY_KEY[outcome]] ?? -1) - sumOutcome(listed, outcome);
  return rest < 0 ? countUnlisted(report, outcome) : rest;
}

function sumOutcome(violations: Report["violations"], outcome: Outcome): number {
  return violations.reduce((sum, one) => sum + (one.outcome === outcome ? one.occurrences : 0), 0);
}

/** True when the history proves that no violation of these outcomes occurred in the time from `fromMs`. */
function isQuietSince(report: Report, outcomes: readonly Outcome[], fromMs: number): boolean {
  const entries = readHistorySince(report, fromMs);
  return entries?.every((entry) => outcomes.every((outcome) => !entry[HISTORY_KEY[outcome]])) ?? false;
}

function parseSubjects(flags: FilterFlags): Test[] {
  const tests: Test[] = [];
  const { workload, pod, node, container, tag, selector } = flags;
  if (workload !== undefined) {
    const isWorkload = parseGlob("--workload", workload);
    tests.push(({ violation: { workload: w } }) => [w.name, `${w.kind}/${w.name}`, formatWorkload(w)].some(isWorkload));
  }
  if (pod !== undefined) {
    const isPod = parseGlob("--pod", pod);
    tests.push(
      ({ violation }) =>
        countUnlistedPods(violation) > 0 ||
        [...(violation.pods ?? []).map(({ name }) => name), violation.latest?.pod ?? ""].some(isPod),
    );
  }
  if (node !== undefined) {
    const isNode = parseGlob("--node", node);
    tests.push(({ violation }) => countUnlistedPods(violation) > 0 || listNodes(violation).some(isNode));
  }
  if (container !== undefined) {
    const isContainer = parseGlob("--container", container);
    tests.push(({ violation }) => violation.container !== undefined && isContainer(violation.container));
  }
  if (tag !== undefined) {
    const isTag = parseGlob("--tag", tag);
    tests.push((found) => getRuleFacts(found).tags.some(isTag));
  }
  if (selector !== undefined) {
    const selects = parseSelector(selector);
    // A label that a long text lost may be the one.
    tests.push(({ violation }) => violation.latest?.labels?.endsWith("…") || selects(getPodLabels(violation)));
  }
  return tests;
}

export function listNodes({ pods = [], latest, node, workload }: ViolationRef["violation"]): string[] {
  const own = workload.kind === "Node" ? [workload.name] : [];
  const all = [...own, ...pods.flatMap((pod) => pod.node ?? []), latest?.node ?? [], node ?? []].flat();
  return [...new Set(all)];
}

/** Labels of the pod of the newest alert. */
export function getPodLabels({ latest }: ViolationRef["violation"]): Map<string, string> {
  const pairs = (latest?.labels ?? "").split(/[,\s]+/).flatMap((label): [string, string][] => {
    const [, key, value] = /^([A-Za-z0-9./_-]+)=([A-Za-z0-9._-]*)$/.exec(label) ?? [];
    return key === undefined ? [] : [[key, value ?? ""]];
  });
  return new Map(pairs);
}

type LabelTest = (labels: ReadonlyMap<string, string>) => boolean;

const LABEL_KEY = "[A-Za-z0-9./_-]+";
const LABEL_VALUE = "[A-Za-z0-9._-]*";
const EXISTS = new RegExp(`^(!?)\\s*(${LABEL_KEY})$`);
const EQUALS = new RegExp(`^(${LABEL_KEY})\\s*(==?|!=)\\s*(${LABEL_VALUE})$`);
const IN_SET = new RegExp(
  `^(${LABEL_KEY})\\s+(in|notin)\\s*\\(\\s*(${LABEL_VALUE}(?:\\s*,\\s*${LABEL_VALUE})*)\\s*\\)$`,
);

/** Reads `app=web,tier!=db,team,!old,env in (a,b)` as kubectl's -l does. */
function parseSelector(text: string): LabelTest {
  // A comma within parentheses is one of a set.
  const tests = text.split(/,(?![^(]*\))/).map((part) => parseLabelTest(part.trim(), text));
  return (labels) => tests.every((test) => test(labels));
}

function parseLabelTest(part: string, selector: string): LabelTest {
  const [, not, name = ""] = EXISTS.exec(part) ?? [];
  if (not !== undefined) return (labels) => labels.has(name) !== (not === "!");
  const [, key, operator, list = ""] = EQUALS.exec(part) ?? IN_SET.exec(part) ?? [];
  if (key === undefined) {
    throw createUsageError(
      `invalid value "${selector}" for -l: give labels of pods, such as app=web,tier!=db,team,!old,env in (a,b).`,
    );
  }
  const values = list.split(",").map((value) => value.trim());
  const isNegative = operator === "!=" || operator === "notin";
  return (labels) => values.includes(labels.get(key) ?? "\0") !== isNegative;
}

function parseOutcomes(text: string | undefined): readonly Outcome[] {
  if (text === undefined || text.toLowerCase() === "any") return OUTCOMES;
  return text.split(",").map((word) => {
    const outcome = OUTCOMES.find((one) => one.toLowerCase() === word.trim().toLowerCase());
    if (outcome) return outcome;
    throw createUsageError(
      `invalid value "${word}" for --outcome: expected allowed, prevented, unknown (or several, with commas) or any.`,
    );
  });
}

/** Reads a level; throws a PluginError for another word. */
export function parseSeverity(text: string): SeverityLevel {
  const level = SEVERITIES.find((one) => one === text.toLowerCase());
  if (level) return level;
  throw createUsageError(
    `invalid value "${text}" for --severity: expected one of ${SEVERITIES.toReversed().join(", ")}.`,
  );
}

/** A name with `*`, `?`, `[…]` and `{a,b}`, in any case; `*` also stands for `/`. Throws for an open bracket. */
function parseGlob(flag: string, pattern: string): (text: string) => boolean {
  try {
    if (pattern === "") throw new Error("it is empty");
    const matches = picomatch(pattern, {
      strictBrackets: true,
      bash: true,
      dot: true,
      nocase: true,
      nonegate: true,
      noextglob: true,
    });
    // A second argument, such as the index of `some`, makes it return an object, which is true.
    return (text) => matches(text);
  } catch (error) {
    throw createUsageError(
      `invalid value "${pattern}" for ${flag} (${getErrorMessage(error)}): ` +
        "give a name, with * for any text and ? for any character.",
    );
  }
}

/** The violations of some reports that a filter selects, and those that it can't see. */
export interface Selection {
  /** Listed violations that match, the worst order not applied. */
  found: ViolationRef[];
  /** Listed accepted violations that match and were left out. */
  hidden: number;
  /** True when more accepted violations may match than are listed. */
  isHiddenAtLeast: boolean;
  /** Reports in which more violations may match than are listed. */
  cut: Report[];
}

/** Applies a filter to the violations of these reports. */
export function select(reports: readonly Report[], all: readonly ViolationRef[], filter: Filter): Selection {
  const matching = all.filter(filter.matches);
  const found = filter.withAccepted ? matching : matching.filter(({ accepted }) => accepted === undefined);
  return {
    found,
    hidden: matching.length - found.length,
    isHiddenAtLeast: reports.some((one) => filter.matchesReport(one) && countUnlistedAccepted(one) > 0),
    cut: reports.filter(filter.mayHide),
  };
}

/** Accepted violations that the report has no room to list. */
export function countUnlistedAccepted({ summary, violations }: Report): number {
  const listed = violations.filter(({ accepted }) => accepted !== undefined).length;
  return Math.max(0, (summary.accepted?.violations ?? listed) - listed);
}
