// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Statements of an audit that the page and the Markdown share.

import { describeHeartbeat } from "../reports/heartbeat.ts";
import { isReplay, UNDETECTABLE } from "../reports/sentences.ts";
import { describeCut } from "../reports/totals.ts";
import { formatTime } from "../reports/when.ts";
import { formatCount, formatSentence } from "../reports/words.ts";
import { plain } from "../text/escape.ts";
import type { Enforcement, Facts } from "./audit-facts.ts";

/** Violations of Block rules that are listed apart. */
export const MAX_UNENFORCED = 50;

/** A warning that stands above everything; undefined while the operator is running and every report is read. */
export function describeState(facts: Facts): { isBad: boolean; text: string } | undefined {
  const { leftOut } = facts;
  const state = describeOperator(facts);
  if (leftOut === 0) return state;
  const lacks = `${formatCount(leftOut, "report")} could not be read and ${leftOut === 1 ? "is" : "are"} not in this page.`;
  return { isBad: true, text: state === undefined ? lacks : `${lacks} ${state.text}` };
}

function describeOperator({ heartbeat, directory }: Facts): ReturnType<typeof describeState> {
  if (directory !== undefined) {
    return {
      isBad: false,
      text: `This page was made from files (${plain(directory)}): it shows the state when they were written, and does not show if the operator is running.`,
    };
  }
  if (heartbeat === undefined) return { isBad: true, text: "It is unknown if the operator is running." };
  const doubt = describeHeartbeat(heartbeat);
  return doubt === undefined ? undefined : { isBad: true, text: formatSentence(doubt) };
}

/** `[name, value]` of the page's head. */
export function listAbout({
  clusters,
  context,
  version,
  kubearmorVersions,
  period,
  heartbeat,
  directory,
}: Facts): [string, string][] {
  const states = {
    alive: "running",
    cutOff: "running, alerts may be missing",
    silent: "not running",
    unknown: "unknown",
  } as const;
  const unknown = "unknown";
  return [
    [
      "Cluster",
      clusters.length > 0
        ? clusters
            .slice(0, 5)
            .map((name) => plain(name))
            .join(", ")
        : plain(context ?? unknown),
    ],
    ["Period", period === undefined ? "no report matches" : `${formatTime(period.from)} to ${formatTime(period.to)}`],
    ["Operator", directory === undefined ? states[heartbeat?.state ?? "unknown"] : unknown],
    [
      "KubeArmor",
      kubearmorVersions
        .slice(0, 5)
        .map((name) => plain(name))
        .join(", ") || unknown,
    ],
    ["kubectl violations", version],
  ];
}

/** The statement on the rules that say Block. */
export function describeEnforcement(enforcement: Enforcement): string {
  if (enforcement.state === "enforced") {
    return `Every recorded occurrence against a rule that says Block was prevented. ${UNDETECTABLE}`;
  }
  if (enforcement.state === "none") {
    return `No occurrence against a rule that says Block is recorded. ${UNDETECTABLE}`;
  }
  if (enforcement.state === "unknown") {
    return `No listed violation of a rule that says Block was allowed. That all of them were prevented is unknown: ${enforcement.why}.`;
  }
  const { found, isAtLeast } = enforcement;
  return (
    `${isAtLeast ? "At least " : ""}${formatCount(found.length, "violation")} of rules that say Block ` +
    `${found.length === 1 ? "was" : "were"} allowed: the node or the pod does not enforce them. Accepted ones are included.`
  );
}

/** Says that no violation is listed: that there is none only where all was looked at. */
export function describeNothing({ cut, unseen, filter, heartbeat, directory }: Facts): string {
  const isRunning = directory !== undefined || heartbeat?.state === "alive";
  if (cut.length + unseen.length > 0 || !isRunning) return "No listed violation matches.";
  return filter.isWhole ? "There is none." : "None matches.";
}

/** Completeness of all numbers, in sentences. */
export function describeCompleteness({ matching, uncovered, cut, unseen }: Facts): string[] {
  const whole = matching.length - uncovered.length;
  const replays = matching.filter(isReplay).length;
  return [
    replays > 0
      ? `${formatCount(replays, "report")} ${replays === 1 ? "was" : "were"} made from files of alerts: gaps in them are unknown.`
      : "",
    whole - replays > 0 && replays < matching.length
      ? `${formatCount(Math.max(0, whole - replays), "report")} ${whole - replays === 1 ? "names" : "name"} no gap.`
      : "",
    cut.length > 0 ? formatSentence(describeCut(cut)) : "",
    ...unseen.map(formatSentence),
    UNDETECTABLE,
  ].filter((text) => text !== "");
}
