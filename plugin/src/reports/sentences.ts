// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tells what a violation is in sentences. Every sentence says what is known, and what is not.
// Invariant: pure; what leaves here is plain text that is safe to print.

import type { Report, Violation } from "../../../src/api/v1alpha1.ts";
import { age } from "../../../src/lib/age.ts";
import { plain } from "../render/escape.ts";
import { type Gap, isLowerBound, recentGaps, type ViolationRef } from "./report-view.ts";
import { msOf, told } from "./when.ts";

/** "tried to …" and "was allowed to …"; what follows is the resource. */
const DEEDS: Readonly<Record<string, string>> = {
  Process: "run",
  File: "use the file",
  Network: "use the network:",
  NetworkFirewall: "pass the firewall:",
  Capabilities: "use the capability",
  Syscall: "make a system call on",
  Device: "use the device",
};

/** Who did what, and was it stopped. */
export function headline(found: ViolationRef): string {
  const { outcome, source } = found.violation;
  const who = plain(source ?? "") || "a process that the alert does not name";
  const deed = `${deedOf(found.violation)} ${placeOf(found)}`;
  if (outcome === "Prevented") return `Stopped: ${who} tried to ${deed}.`;
  if (outcome === "Allowed") return `It happened: ${who} was allowed to ${deed}.`;
  return `Not known whether it was stopped: ${who} tried to ${deed}.`;
}

function deedOf({ operation, resource, latest }: Violation): string {
  const deed = DEEDS[operation] ?? `${plain(operation)}:`;
  if (resource) return `${deed} ${plain(resource)}`;
  const data = latest?.data ? `: ${plain(latest.data)}` : "";
  return `do what the alert does not name (${plain(operation)}${data})`;
}

function placeOf({ report, violation }: ViolationRef): string {
  const { workload, container, node } = violation;
  const namespace = report.metadata.namespace ?? violation.namespace;
  const parts = [
    container === undefined ? "" : `in container ${plain(container)}`,
    `${container === undefined ? "on" : "of"} ${plain(workload.kind)} ${plain(workload.name)}`,
    namespace === undefined ? "" : `in namespace ${plain(namespace)}`,
    node === undefined || node === workload.name ? "" : `(node ${plain(node)})`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** Which policy said what, and what came of it. */
export function verdict({ report, violation, accepted }: ViolationRef): string[] {
  const { policy, summary } = report;
  const { latest, action, outcome } = violation;
  const sentences: string[] = [];
  if (policy.kind === "DefaultPosture") {
    sentences.push(
      "No policy names it: an Allow policy selects this workload and does not list this, or the default posture forbids it.",
    );
  } else {
    const severity =
      policy.severity === undefined
        ? "sets no severity"
        : `gives it severity ${policy.severity} of 10 (${plain(summary.severity)})`;
    sentences.push(`The policy ${plain(policy.name)} (${plain(policy.kind)}) ${severity}.`);
    if (policy.message) sentences.push(`It says: ${plain(policy.message)}`);
  }
  const by = latest?.enforcer ? ` by ${plain(latest.enforcer)}` : "";
  const result = latest?.result ? ` (${plain(latest.result)})` : "";
  if (action === "Audit (Block)" && outcome === "Allowed") {
    sentences.push(
      `It should have been blocked and was not: this node or pod does not enforce${by ? `; seen${by}` : ""}${result}.`,
    );
  } else if (outcome === "Allowed")
    sentences.push(
      `The action is ${plain(action ?? "not told")}: it was seen${by} and let through${result}.`,
    );
  else if (outcome === "Prevented")
    sentences.push(`The action is ${plain(action ?? "not told")}: it was stopped${by}${result}.`);
  if (accepted !== undefined) sentences.push(`It is accepted: ${plain(accepted)}.`);
  return sentences;
}

/** How often, since when, where. */
export function extent(found: ViolationRef, nowMs: number): string[] {
  const { violation } = found;
  const times = `${isLowerBound(found) ? "at least " : ""}${violation.occurrences} ${violation.occurrences === 1 ? "time" : "times"}`;
  const last = `${told(violation.lastSeen)} (${age(nowMs - msOf(violation.lastSeen))} ago)`;
  const sentences =
    violation.firstSeen === violation.lastSeen
      ? [`Seen ${times}, at ${last}.`]
      : [`Seen ${times} since ${told(violation.firstSeen)}, last at ${last}.`];
  const pods = violation.pods ?? [];
  if (pods.length > 0) {
    const listed = pods.map(({ name, node, occurrences }) => {
      return `${plain(name)}${node ? ` on ${plain(node)}` : ""} (${occurrences})`;
    });
    sentences.push(`Pods, the most recent first: ${listed.join(", ")}.`);
  }
  return sentences;
}

/** The newest alert as `[name, value]`. */
export function evidence({ latest }: Violation): [string, string][] {
  if (!latest) return [];
  const { process, parent, pid, ppid, hostPid } = latest;
  const user =
    latest.uid === undefined && !latest.user ? "" : `${latest.user ?? ""} (uid ${latest.uid ?? "?"})`.trim();
  const rows: [string, string | undefined][] = [
    ["command", latest.command],
    ["started by", latest.source],
    [
      "process",
      [process, pid === undefined ? "" : `(pid ${pid}, on the host ${hostPid ?? "?"})`]
        .filter(Boolean)
        .join(" "),
    ],
    ["parent", [parent, ppid === undefined ? "" : `(pid ${ppid})`].filter(Boolean).join(" ")],
    ["user", user],
    ["directory", latest.cwd],
    ["terminal", latest.tty],
    ["kubectl exec", latest.execId],
    ["resource", latest.resource],
    ["data", latest.data],
    ["image", latest.image],
    ["labels", latest.labels],
    ["time", latest.time],
  ];
  return rows.flatMap(([name, value]): [string, string][] => (value ? [[name, plain(value)]] : []));
}

const GAPS: Readonly<Record<string, string>> = {
  StreamDown: "the stream from KubeArmor was down",
  StreamEnded: "KubeArmor's relay ended the stream",
  Stalled: "the operator stood still",
  NotRunning: "the operator was not running",
  Throttled: "KubeArmor muted a container that raised too many alerts",
  Rejected: "alerts came that could not be understood",
  MemoryLimit: "the operator's limit of memory was reached",
  Handover: "another replica took over",
  JournalUnavailable: "the operator's journal could not be used",
};

/** How far the numbers of a report can be trusted. */
export function coverage(report: Report): string[] {
  const { gaps, throttleNotices, rejected, withoutDetails, lowerBound, continuousSince } = report.coverage;
  const sentences: string[] = [];
  if (lowerBound) {
    const why = [
      gaps > 0 ? `${count(gaps, "time")} nobody read the stream` : "",
      throttleNotices > 0 ? `KubeArmor muted a container ${count(throttleNotices, "time")}` : "",
      rejected ? `${count(rejected, "alert")} could not be understood` : "",
      withoutDetails ? `${count(withoutDetails, "alert")} found no room in the operator's memory` : "",
    ].filter((part) => part !== "");
    sentences.push(`The numbers are lower bounds${why.length > 0 ? `: ${why.join(", and ")}` : ""}.`);
  } else sentences.push("No gap is known: the numbers are all that KubeArmor sent.");
  for (const gap of recentGaps(report)) sentences.push(`${gapSentence(gap)}.`);
  if (continuousSince)
    sentences.push(`The stream has been read without a known gap since ${told(continuousSince)}.`);
  if (report.omitted) {
    const { violations, occurrences } = report.omitted;
    sentences.push(
      `The report is too large to list all: ${count(violations, "violation")} with ${count(occurrences, "occurrence")} are in the totals only.`,
    );
  }
  return sentences;
}

/** One hole in words. */
export function gapSentence(gap: Gap): string {
  const what = GAPS[gap.kind] ?? plain(gap.kind);
  const where = [gap.container, gap.pod, gap.node].filter((part) => part).map((part) => plain(part ?? ""));
  const until = gap.to ? ` until ${told(gap.to)}` : gap.seconds ? ` for ${gap.seconds} s` : "";
  const lost = gap.count ? `, ${count(gap.count, "alert")}` : "";
  return `From ${told(gap.from)}${until} ${what}${where.length > 0 ? ` (${where.join(", ")})` : ""}${lost}`;
}

/** `1 pod`, `2,000 pods`. */
export function count(n: number, noun: string): string {
  return `${grouped(n)} ${plural(n, noun)}`;
}

/** `pod` for 1, else `pods`. */
export function plural(n: number, noun: string): string {
  return n === 1 ? noun : `${noun}s`;
}

/** `2,000`, for people. */
export function grouped(n: number): string {
  return n.toLocaleString("en");
}
