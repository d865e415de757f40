// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A gate's verdict as SARIF 2.1.0, for code scanning: a rule per policy, a result per violation.

import { API_GROUP } from "../../../src/api/names.ts";
import type { SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { pathOf } from "../../../src/sinks/directory-sink.ts";
import { plain } from "../render/escape.ts";
import type { ViolationRef } from "../reports/report-view.ts";
import { headline, verdict as verdictOf } from "../reports/sentences.ts";
import type { Verdict } from "./gate-verdict.ts";

const LEVELS: Readonly<Record<SeverityLevel, "error" | "warning" | "note">> = {
  critical: "error",
  high: "error",
  medium: "warning",
  low: "warning",
  unknown: "warning",
  info: "note",
};

/** Returns the document; what an acceptance or the baseline covers is a suppressed result. */
export function sarif({ shut, accepted, known }: Verdict): string {
  const all = [
    ...shut.map((found) => result(found, [])),
    ...accepted.map((found) =>
      result(found, [{ kind: "external", justification: `accepted: ${plain(found.accepted ?? "")}` }]),
    ),
    ...known.map((found) => result(found, [{ kind: "external", justification: "in the baseline" }])),
  ];
  const rules = new Map([...shut, ...accepted, ...known].map((found) => [ruleId(found), rule(found)]));
  const document = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "kubectl-violations", rules: [...rules.values()] } },
        columnKind: "utf16CodeUnits",
        results: all,
      },
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function ruleId({ report }: ViolationRef): string {
  return plain(report.policy.name);
}

function rule({ report }: ViolationRef): unknown {
  const { policy, summary } = report;
  return {
    id: plain(policy.name),
    shortDescription: { text: plain(`${policy.kind} ${policy.name}`) },
    ...(policy.message ? { fullDescription: { text: plain(policy.message) } } : {}),
    defaultConfiguration: { level: LEVELS[summary.severity] ?? "warning" },
    ...(policy.tags ? { properties: { tags: policy.tags.map((tag) => plain(tag)) } } : {}),
  };
}

/** Code scanning wants a file: the one that `export` keeps the report in. */
function result(found: ViolationRef, suppressions: unknown[]): unknown {
  const { report, violation } = found;
  const { name, namespace } = report.metadata;
  const uri = pathOf(".", namespace === undefined ? { name } : { namespace, name });
  return {
    ruleId: ruleId(found),
    level: LEVELS[report.summary.severity] ?? "warning",
    message: { text: [headline(found), ...verdictOf(found)].join(" ") },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uri.split("/").map(encodeURIComponent).join("/") },
          region: { startLine: 1 },
        },
        logicalLocations: [
          {
            kind: "resource",
            fullyQualifiedName: plain(`${violation.workload.kind}/${violation.workload.name}`),
          },
        ],
      },
    ],
    partialFingerprints: { [`${API_GROUP}/violation`]: plain(`${namespace ?? ""}/${name}/${violation.id}`) },
    occurrenceCount: violation.occurrences,
    ...(suppressions.length > 0 ? { suppressions } : {}),
  };
}
