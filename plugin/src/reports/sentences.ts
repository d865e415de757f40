// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Describes violations and reports in sentences.
// Invariant: pure; every sentence ends with a stop, and is safe to print.

import type { Report, Violation } from "../../../src/api/v1alpha1.ts";
import { formatAge } from "../../../src/lib/time.ts";
import { plain } from "../text/escape.ts";
import { countUnlistedPods, getRuleFacts, getSeverityLevel, isLowerBound, type ViolationRef } from "./report-view.ts";
import { formatTime, toMs } from "./when.ts";
import { formatCount, formatSentence } from "./words.ts";

/** "tried to …"; what follows is the resource. */
const VERBS: Readonly<Record<string, string>> = {
  exec: "run",
  open: "open",
  read: "read",
  write: "write to",
  create: "create",
  unlink: "delete",
  rmdir: "delete the directory",
  mkdir: "create the directory",
  rename: "rename from or to",
  link: "make a hard link from or to",
  symlink: "make the symbolic link",
  chmod: "change the mode of",
  chown: "change the owner of",
  truncate: "truncate",
  mknod: "create",
  close: "close",
  ptrace: "trace",
  mount: "mount on",
  umount: "unmount",
  "mmap-exec": "map as executable",
  connect: "connect to",
  accept: "accept a connection on",
  bind: "bind to",
  listen: "listen on",
  send: "send to",
  resolve: "resolve",
  socket: "open a socket with",
  ingress: "receive traffic on",
  egress: "send traffic to",
  capable: "use the capability",
  attach: "attach the device",
  detach: "remove the device",
};

const OPERATIONS: Readonly<Record<string, string>> = {
  Process: "run",
  File: "use the file",
  Network: "use the network with",
  NetworkFirewall: "pass the firewall with",
  Capabilities: "use the capability",
  Syscall: "make a system call on",
  Device: "use the device",
};

const BARE: Readonly<Record<string, string>> = {
  Process: "run a program",
  File: "use a file",
  Network: "use the network",
  NetworkFirewall: "pass the firewall",
  Capabilities: "use a capability",
  Syscall: "make a system call",
  Device: "use a device",
};

/** Describes actor, activity, place and outcome. */
export function describeViolation(found: ViolationRef): string {
  const { outcome, source } = found.violation;
  const actor = plain(source ?? "") || "a process";
  const action = `${describeAction(found.violation)} ${describePlace(found)}`;
  if (outcome === "Prevented") return `Prevented: ${actor} tried to ${action}.`;
  if (outcome === "Allowed") return `Allowed: ${actor} was able to ${action}.`;
  return `Unknown outcome: ${actor} tried to ${action}.`;
}

function describeAction({ operation, verb, resource, latest }: Violation): string {
  const known = verb === undefined ? OPERATIONS[operation] : (VERBS[verb] ?? `${plain(verb)} on`);
  if (resource) return `${known ?? `perform ${plain(operation)} on`} ${plain(resource)}`;
  const data = latest?.data ? ` (${plain(latest.data)})` : "";
  if (verb === "mmap-exec") return `map memory as executable${data}`;
  if (verb !== undefined && operation === "Syscall") return `make the system call ${plain(verb)}${data}`;
  return `${BARE[operation] ?? `perform ${plain(operation)}`}${data}`;
}

function describePlace({ report, violation }: ViolationRef): string {
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

/** The policy, its rule and the result, in sentences. */
export function describeRule(found: ViolationRef): string[] {
  const { report, violation, accepted } = found;
  const { policy } = report;
  const { latest, action, outcome } = violation;
  const { message } = getRuleFacts(found);
  const sentences: string[] = [];
  if (policy.kind === "DefaultPosture") {
    sentences.push(
      "No policy names it: an Allow policy selects this workload and does not list this, or the default posture forbids it.",
    );
  } else {
    const number = violation.severity ?? policy.severity ?? 0;
    const severity =
      number === 0 ? "sets no severity" : `gives it severity ${number} of 10 (${getSeverityLevel(found)})`;
    sentences.push(`The policy ${plain(policy.name)} (${plain(policy.kind)}) ${severity}.`);
    if (message) sentences.push(`Its message: ${formatSentence(plain(message))}`);
  }
  const by = latest?.enforcer ? ` by ${plain(latest.enforcer)}` : "";
  const result = latest?.result ? ` (${plain(latest.result)})` : "";
  const rule = action === undefined ? "The alert has no action" : `The action is ${plain(action)}`;
  if (isUnenforced(violation)) {
    sentences.push(`It should have been blocked, but was only reported${by}${result}.`);
  } else if (outcome === "Allowed") sentences.push(`${rule}: it was reported${by} and allowed${result}.`);
  else if (outcome === "Prevented") sentences.push(`${rule}: it was prevented${by}${result}.`);
  else sentences.push(`${rule}; the alert does not say if it was prevented${by}${result}.`);
  if (accepted !== undefined) sentences.push(`It is accepted by ${plain(accepted)}.`);
  return sentences;
}

/** True for a violation of a rule that says Block, also where the node can only audit. */
export function isOfBlockRule({ action = "" }: Violation): boolean {
  return /Block/.test(action);
}

/** True for a violation that a rule that says Block did not stop. */
export function isUnenforced(violation: Violation): boolean {
  return isOfBlockRule(violation) && violation.outcome === "Allowed";
}

/** Number, times and pods, in sentences. */
export function describeExtent(found: ViolationRef, nowMs: number): string[] {
  const { violation } = found;
  const least = isLowerBound(found) ? "at least " : "";
  const times = `${least}${formatCount(violation.occurrences, "time")}`;
  const last = `${formatTime(violation.lastSeen)} (${formatAge(nowMs - toMs(violation.lastSeen))} ago)`;
  const sentences =
    violation.firstSeen === violation.lastSeen
      ? [`Seen ${times}, at ${last}.`]
      : [`Seen ${times} since ${formatTime(violation.firstSeen)}, last at ${last}.`];
  const pods = violation.pods ?? [];
  if (pods.length > 0) {
    const listed = pods.map(({ name, node, occurrences }) => {
      return `${plain(name)}${node ? ` on ${plain(node)}` : ""} (${occurrences})`;
    });
    const rest = countUnlistedPods(violation);
    if (rest > 0) listed.push(`and others, with ${formatCount(rest, "occurrence")}`);
    sentences.push(`Pods, the most recent first: ${listed.join(", ")}.`);
  }
  return sentences;
}

/** The newest alert as `[name, value]`. */
export function listEvidence({ latest }: Violation): [string, string][] {
  if (!latest) return [];
  const { process, parent, pid, ppid, hostPid } = latest;
  const hasUser = latest.uid !== undefined || Boolean(latest.user);
  const onHost = hostPid === undefined ? "" : `, on the host ${hostPid}`;
  const join = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(" ");
  const rows: [string, string | undefined][] = [
    ["command", latest.command],
    ["started by", latest.source],
    ["process", join(process, pid === undefined ? "" : `(pid ${pid}${onHost})`)],
    ["parent", join(parent, ppid === undefined ? "" : `(pid ${ppid})`)],
    ["user", hasUser ? join(latest.user, latest.uid === undefined ? "" : `(uid ${latest.uid})`) : ""],
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

/** Something known to be missing from the numbers. */
export type Gap = NonNullable<Report["coverage"]["recent"]>[number];

/** Returns the newest gaps, newest first. */
export function listRecentGaps({ coverage }: Report): readonly Gap[] {
  return coverage.recent ?? [];
}

/** Returns a gap that has not ended: alerts are missing now. */
export function findLastingGap(reports: readonly Report[]): Gap | undefined {
  return reports.flatMap(listRecentGaps).find(({ to, seconds }) => to === undefined && seconds === undefined);
}

/**
 * Returns the start of the time without a known gap; undefined where that is unknown. Reports are written at different
 * times, and a gap shows first in the one that was written last.
 */
export function getWholeSince(reports: readonly Report[]): number | undefined {
  const starts = reports.flatMap(({ coverage }) => (coverage.continuousSince ? [toMs(coverage.continuousSince)] : []));
  const gaps = reports.flatMap((report) => listRecentGaps(report).map(({ from, to }) => toMs(to ?? from)));
  return starts.length === 0 ? undefined : Math.max(...starts, ...gaps);
}

const GAPS: Readonly<Record<string, string>> = {
  StreamDown: "the alert stream was down",
  StreamEnded: "KubeArmor's relay ended the alert stream",
  NodeDown: "nodes of the cluster were not read",
  Stalled: "the operator was stalled",
  NotRunning: "the operator was not running",
  Throttled: "KubeArmor throttled the alerts of a container",
  Rejected: "alerts were rejected as unreadable",
  MemoryLimit: "the operator had reached its memory limit",
  Handover: "another replica took over",
  JournalUnavailable: "the operator's journal was not available",
  TransportLost: "counts were lost between the operator's processes",
  Deleted: "the report was deleted and counted from zero",
};

/** KubeArmor and its relay drop alerts without a trace. */
export const UNDETECTABLE = "Drops inside KubeArmor or its relay cannot be detected.";

/** True for a report that was made from a file of alerts: nothing is known of the stream. */
export function isReplay({ policy, coverage }: Report): boolean {
  return policy.provenance === undefined && coverage.continuousSince === undefined;
}

/** Completeness of the numbers of a report, in sentences. */
export function describeCoverage(report: Report): string[] {
  const { gaps, throttleNotices, rejected, withoutDetails, lowerBound, continuousSince } = report.coverage;
  const sentences: string[] = [];
  if (lowerBound) {
    const reasons = [
      gaps > 0 ? `${formatCount(gaps, "gap")} in the alert stream` : "",
      throttleNotices > 0 ? formatCount(throttleNotices, "throttle notice") : "",
      rejected ? formatCount(rejected, "rejected alert") : "",
      withoutDetails ? `${formatCount(withoutDetails, "alert")} beyond the operator's memory limit` : "",
    ].filter((part) => part !== "");
    sentences.push(`The numbers are lower bounds${reasons.length > 0 ? `: ${reasons.join(", ")}` : ""}.`);
  } else if (isReplay(report)) {
    sentences.push("The report was made from a file of alerts: gaps in it are unknown.");
  } else {
    sentences.push(`The report names no gap. ${UNDETECTABLE}`);
  }
  for (const gap of listRecentGaps(report)) sentences.push(describeGap(gap));
  if (continuousSince) {
    sentences.push(
      `When the report was written, the alert stream had been read without a known gap since ${formatTime(continuousSince)}.`,
    );
  }
  if (report.omitted) {
    const { violations, occurrences } = report.omitted;
    // 0: the occurrences may be of listed violations.
    const of = violations === 0 ? "" : `${formatCount(violations, "violation")} with `;
    const isOne = violations === 1 || (violations === 0 && occurrences === 1);
    sentences.push(
      `The list is cut: ${of}${formatCount(occurrences, "occurrence")} ${isOne ? "is" : "are"} only in the totals.`,
    );
  }
  if (report.expired) {
    const { violations, occurrences } = report.expired;
    sentences.push(
      `${formatCount(violations, "violation")} with ${formatCount(occurrences, "occurrence")} ` +
        `left the list for ${violations === 1 ? "its" : "their"} age; the totals keep ${violations === 1 ? "it" : "them"}.`,
    );
  }
  return sentences;
}

export function describeGap({ kind, from, to, seconds, container, pod, node, count }: Gap): string {
  const what = GAPS[kind] ?? plain(kind);
  const where = [container, pod, node].flatMap((part) => (part ? [plain(part)] : []));
  const until = to ? ` until ${formatTime(to)}` : seconds ? ` for ${seconds} s` : "";
  const lost = count ? `, ${formatCount(count, "alert")}` : "";
  const lasting = until === "" ? "; when the report was written, that had not ended" : "";
  return `From ${formatTime(from)}${until} ${what}${where.length > 0 ? ` (${where.join(", ")})` : ""}${lost}${lasting}.`;
}
