// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict of a gate as SARIF 2.1.0, for code scanning: a rule per namespace and policy, a result per violation.

import { isAbsolute } from "node:path";
import type { Log, ReportingDescriptor, Result, Suppression } from "sarif";
import type { Report, SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { HOMEPAGE, VERSION } from "../../../src/app/version.ts";
import { toPath } from "../../../src/sinks/directory-sink.ts";
import { createAdvice } from "../reports/advice.ts";
import { getRuleFacts, getSeverityLevel, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { describeRule, describeViolation } from "../reports/sentences.ts";
import { formatCount, formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { parseLimit, type Session } from "../session/session.ts";
import { plain, toSarifText } from "../text/escape.ts";
import { say } from "../text/sentence.ts";
import { describeUnlisted, getDecision, limitVerdict, listClusters, type Verdict } from "./gate-verdict.ts";

const LEVELS: Readonly<Record<SeverityLevel, "error" | "warning" | "note">> = {
  critical: "error",
  high: "error",
  medium: "warning",
  low: "warning",
  unknown: "warning",
  info: "note",
};

/** GitHub reads it as CVSS: above 9 critical, from 7 high, from 4 medium, else low. */
const SECURITY_SEVERITY: Readonly<Record<SeverityLevel, string>> = {
  critical: "9.5",
  high: "8.0",
  medium: "5.5",
  low: "3.0",
  unknown: "2.0",
  info: "0.5",
};

/** GitHub refuses more. */
const MAX_TAGS = 20;
const DEFAULT_DIRECTORY = "violations";

/** Renders the document; what an acceptance or the baseline covers is a suppressed result. */
export function renderSarif(verdict: Verdict, session: Session, flags: Flags): string {
  const { failed, unlisted, accepted, known, unknown } = verdict;
  const directory = exportDirectory(flags);
  const decision = getDecision(verdict);
  const { shown, more } = limitVerdict(verdict, parseLimit(flags, session));
  const results: Result[] = [
    ...shown.failed.map((found) => toResult(found, directory)),
    ...unlisted.map((one) => ({
      ruleId: getRuleId(one.report),
      level: LEVELS[one.report.summary.severity],
      message: { text: describeUnlisted(one) },
      locations: [toLocation(one.report, directory)],
      partialFingerprints: { primaryLocationLineHash: "unlisted:1" },
    })),
    ...shown.accepted.map((found) => toResult(found, directory, `Accepted by ${plain(found.accepted ?? "")}.`)),
    ...shown.known.map((found) => toResult(found, directory, "Known from the baseline.")),
  ];
  const rules = new Map<string, ReportingDescriptor>();
  for (const { report } of unlisted) rules.set(getRuleId(report), toRule(report, undefined));
  // The worst open violation of a rule gives its help.
  for (const found of [...failed, ...accepted, ...known].reverse())
    rules.set(getRuleId(found.report), toRule(found.report, found));
  const clusters = listClusters(verdict.reports);
  const log: Log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "kubectl-violations",
            fullName: `kubectl-violations ${VERSION}`,
            informationUri: HOMEPAGE,
            organization: "policy-violation-operator",
            version: VERSION,
            semanticVersion: VERSION,
            rules: [...rules.values()],
          },
        },
        // GitHub takes the part before the last slash as the category: without it runs of two clusters replace each other.
        ...(clusters.length === 1
          ? { automationDetails: { id: `kubectl-violations/${encodeURIComponent(clusters[0] ?? "")}/` } }
          : {}),
        columnKind: "utf16CodeUnits",
        invocations: [
          {
            executionSuccessful: decision !== "UNKNOWN",
            toolExecutionNotifications: unknown.map((why) => ({
              level: "error",
              message: { text: formatSentence(plain(why)) },
            })),
          },
        ],
        results,
        properties: {
          decision,
          lookedAt: plain(verdict.lookedAt),
          ...(verdict.snapshot === undefined ? {} : { snapshot: verdict.snapshot }),
          ...(verdict.expired === "" ? {} : { expired: plain(verdict.expired) }),
          clusters,
          ...(more > 0 ? { leftOut: `${formatCount(more, "result")} beyond --limit` } : {}),
        },
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

/** The directory of the export, from the root of the repository. */
function exportDirectory({ exportDir, baseline }: Flags): string {
  if (exportDir !== undefined) return exportDir;
  return baseline === undefined || isAbsolute(baseline) ? DEFAULT_DIRECTORY : baseline;
}

function getRuleId(report: Report): string {
  return plain(reportPath(report));
}

function toRule(report: Report, found: ViolationRef | undefined): ReportingDescriptor {
  const { policy, summary } = report;
  const facts = found && getRuleFacts(found);
  const message = plain(facts?.message ?? policy.message ?? "");
  const tags = [...new Set([...(policy.tags ?? []), ...(facts?.tags ?? [])])].map((tag) => plain(tag));
  const advice = found === undefined ? [] : createAdvice(found).sentences;
  const about = say`${policy.kind} ${policy.name} in ${report.metadata.namespace ?? say`the cluster`}.`;
  const help = [about, ...(message === "" ? [] : [say`Its message: ${message}`]), ...advice];
  const id = getRuleId(report);
  const name = plain(policy.name);
  return {
    id,
    // A name that repeats the id is a mistake to validators, as is none.
    name: name === id ? plain(`${policy.kind}/${policy.name}`) : name,
    shortDescription: { text: about.text },
    fullDescription: { text: message === "" ? about.text : formatSentence(message) },
    help: {
      text: help.map(({ text }) => text).join("\n"),
      markdown: help.map(({ markdown }) => markdown).join("\n\n"),
    },
    defaultConfiguration: { level: LEVELS[summary.severity] },
    properties: {
      "security-severity": SECURITY_SEVERITY[summary.severity],
      tags: ["security", ...tags].slice(0, MAX_TAGS),
    },
  };
}

function toResult(found: ViolationRef, directory: string, justification?: string): Result {
  const { report, violation } = found;
  const suppressions: Suppression[] =
    justification === undefined ? [] : [{ kind: "external", status: "accepted", justification }];
  return {
    ruleId: getRuleId(report),
    level: LEVELS[getSeverityLevel(found)],
    message: { text: toSarifText([describeViolation(found), ...describeRule(found)].join(" ")) },
    locations: [
      {
        ...toLocation(report, directory),
        logicalLocations: [
          { kind: "resource", fullyQualifiedName: plain(`${violation.workload.kind}/${violation.workload.name}`) },
        ],
      },
    ],
    // Every result of a report is on the same line: without this hash GitHub takes them for one.
    partialFingerprints: { primaryLocationLineHash: `${plain(violation.id)}:1` },
    occurrenceCount: Math.max(1, violation.occurrences),
    suppressions,
    properties: { severity: getSeverityLevel(found), outcome: violation.outcome },
  };
}

/** The file that `export` keeps the report in. */
function toLocation(
  { metadata: { name, namespace } }: Report,
  directory: string,
): NonNullable<Result["locations"]>[number] {
  const path = toPath(directory, namespace === undefined ? { name } : { namespace, name });
  const uri = path.split("/").map(encodeURIComponent).join("/");
  return { physicalLocation: { artifactLocation: { uri }, region: { startLine: 1 } } };
}
