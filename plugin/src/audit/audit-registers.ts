// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Registers on the audit page: controls, acceptances, completeness and policies.

import type { VNode } from "preact";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { formatExpiry, getAcceptanceState } from "../commands/accept.ts";
import { type Child, el } from "../render/markup.ts";
import { describePolicyObjects, reportPath } from "../reports/report-view.ts";
import { describeCoverage } from "../reports/sentences.ts";
import { formatNumber } from "../reports/words.ts";
import { renderMoreNote, renderSection, renderTable } from "./audit-elements.ts";
import type { Facts } from "./audit-facts.ts";
import { describeCompleteness } from "./audit-words.ts";

const MAX_ROWS = 200;
const MAX_GROUPS = 50;
const MAX_NAMES = 20;

/** Controls by the tags of policies. */
export function renderControls({ controls, cut, unseen }: Facts): Child {
  if (controls.length === 0) return undefined;
  const rows = controls
    .slice(0, MAX_ROWS)
    .map(({ catalog, tag, policies, violations, allowed }) => [
      catalog,
      tag,
      formatNumber(policies),
      formatNumber(violations),
      formatNumber(allowed),
    ]);
  return renderSection(
    "controls",
    "Controls",
    el(
      "p",
      {},
      `Listed open violations by the tags of their policies.${cut.length + unseen.length > 0 ? " The numbers are lower bounds." : ""}`,
    ),
    renderTable("Controls", ["Catalog", "Control", "#Policies", "#Violations", "#Allowed"], rows),
    renderMoreNote(controls.length - MAX_ROWS, "are left out here."),
  );
}

/** The register of acceptances: in the cluster, and as far as reports name them. */
export function renderAcceptances({ acceptances, violations, nowMs }: Facts): VNode {
  const title = "Acceptances";
  const named = new Map<string, number>();
  for (const { accepted, report } of violations) {
    if (accepted === undefined) continue;
    const path = `${report.metadata.namespace ?? ""}/${accepted}`;
    named.set(path, (named.get(path) ?? 0) + 1);
  }
  if (acceptances === undefined) {
    const rows = [...named].sort(([a], [b]) => compare(a, b)).map(([path, n]) => [path, formatNumber(n)]);
    return renderSection(
      "acceptances",
      title,
      el(
        "p",
        {},
        rows.length > 0
          ? "The acceptances could not be read. The reports name these; reason, owner and expiry are unknown."
          : "The acceptances could not be read. The listed violations name none.",
      ),
      rows.length > 0 && renderTable(title, ["Acceptance", "#Listed"], rows.slice(0, MAX_ROWS)),
    );
  }
  if (acceptances.length === 0)
    return renderSection("acceptances", title, el("p", {}, "No AcceptedViolation exists here."));
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const rows = acceptances
    .slice(0, MAX_ROWS)
    .map((one) => [
      `${one.metadata.namespace}/${one.metadata.name}`,
      text(one.spec?.match?.policy),
      getAcceptanceState(one, nowMs),
      text(one.spec?.reason),
      text(one.spec?.owner),
      formatExpiry(one, nowMs),
      formatNumber(named.get(`${one.metadata.namespace}/${one.metadata.name}`) ?? 0),
    ]);
  return renderSection(
    "acceptances",
    title,
    renderTable(title, ["Acceptance", "Policy", "State", "Reason", "Owner", "Expires", "#Listed"], rows),
    renderMoreNote(acceptances.length - MAX_ROWS, "are left out here."),
  );
}

/** Completeness of the numbers; reports with the same text share a paragraph. */
export function renderCompleteness(facts: Facts): VNode {
  const groups = new Map<string, string[]>();
  for (const report of facts.uncovered) {
    const text = describeCoverage(report).join(" ");
    const paths = groups.get(text);
    if (paths) paths.push(reportPath(report));
    else groups.set(text, [reportPath(report)]);
  }
  const items = [...groups].slice(0, MAX_GROUPS).map(([text, paths]) => {
    const names = paths.slice(0, MAX_NAMES).join(", ");
    const more = paths.length > MAX_NAMES ? `, and ${paths.length - MAX_NAMES} more` : "";
    return el("p", {}, el("strong", {}, `${names}${more}`), `: ${text}`);
  });
  return renderSection(
    "completeness",
    "Data completeness",
    el("p", {}, describeCompleteness(facts).join(" ")),
    ...items,
    renderMoreNote(groups.size - MAX_GROUPS, "groups of reports are left out here."),
  );
}

function getNamespace({ metadata }: Report): string {
  return metadata.namespace ?? "";
}

export function renderPolicies({ matching }: Facts): Child {
  if (matching.length === 0) return undefined;
  const reports = matching.toSorted((a, b) => compare(getNamespace(a), getNamespace(b))).slice(0, MAX_ROWS);
  const objects = reports.map((report) => describePolicyObjects(report).map((pair) => pair.join(": ")));
  const [first = []] = objects;
  const isSame = objects.every((lines) => lines.join() === first.join());
  const rows = reports.map((report, row) => {
    const { policy, summary, metadata, coverage } = report;
    const least = coverage.lowerBound ? "≥ " : "";
    return [
      metadata.namespace ?? "(cluster)",
      policy.name,
      policy.kind,
      summary.severity,
      `${least}${formatNumber(summary.prevented)}`,
      `${least}${formatNumber(summary.allowed)}`,
      `${least}${formatNumber(summary.unknown)}`,
      ...(isSame
        ? []
        : [el("span", {}, ...(objects[row] ?? []).flatMap((line, i) => (i > 0 ? [el("br"), line] : [line])))]),
    ];
  });
  return renderSection(
    "policies",
    "Policies",
    el(
      "p",
      { class: "faint" },
      "Whole reports: unlisted and accepted violations are included.",
      isSame && first.length > 0 ? ` Of each: ${first.join("; ")}.` : "",
    ),
    renderTable(
      "Policies",
      [
        "Namespace",
        "Policy",
        "Kind",
        "Severity",
        "#Prevented",
        "#Allowed",
        "#Unknown",
        ...(isSame ? [] : ["In the cluster"]),
      ],
      rows,
    ),
    renderMoreNote(matching.length - MAX_ROWS, "are left out here; the export has all."),
  );
}
