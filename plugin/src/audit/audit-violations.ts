// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations on the audit page: those of Block rules that were allowed, and every one in full.

import type { VNode } from "preact";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { el } from "../render/markup.ts";
import { formatNamespace } from "../reports/policy-rule.ts";
import {
  formatTitle,
  getRuleFacts,
  getSeverityLevel,
  isLowerBound,
  reportPath,
  type ViolationRef,
} from "../reports/report-view.ts";
import { describeExtent, describeRule, describeViolation, listEvidence } from "../reports/sentences.ts";
import { describeCut } from "../reports/totals.ts";
import { formatTime } from "../reports/when.ts";
import { formatNumber, formatSentence } from "../reports/words.ts";
import { renderMoreNote, renderSection, renderTable } from "./audit-elements.ts";
import type { Facts } from "./audit-facts.ts";
import { describeEnforcement, describeNothing, MAX_UNENFORCED } from "./audit-words.ts";

/** Violations of Block rules that were allowed; those that the page shows in full are linked. */
export function renderUnenforced({ enforcement, violations }: Facts, limit: number): VNode {
  const title = "Rules that say Block";
  const text = el("p", {}, describeEnforcement(enforcement));
  if (enforcement.state !== "failed") return renderSection("unenforced", title, text);
  const { found } = enforcement;
  const shown = new Set(violations.slice(0, limit));
  const rows = found.slice(0, MAX_UNENFORCED).map((one) => {
    const { report, violation, accepted } = one;
    const { workload, occurrences } = violation;
    const policy = shown.has(one)
      ? el("a", { href: `#${toAnchor(report, violation.id)}` }, report.policy.name)
      : report.policy.name;
    return [
      formatNamespace(one),
      `${workload.kind}/${workload.name}`,
      formatTitle(violation),
      policy,
      `${isLowerBound(one) ? "≥ " : ""}${formatNumber(occurrences)}`,
      accepted ?? "",
    ];
  });
  return renderSection(
    "unenforced",
    title,
    text,
    renderTable(title, ["Namespace", "Workload", "Violation", "Policy", "#Times", "Accepted by"], rows),
    renderMoreNote(found.length - MAX_UNENFORCED, "are left out here."),
  );
}

function toAnchor({ metadata }: Report, id: string): string {
  return `v-${metadata.namespace ?? ""}-${metadata.name}-${id}`.replace(/[^\w.-]/g, "_");
}

/** Every violation in full, up to `limit`. */
export function renderViolations(facts: Facts, limit: number): VNode {
  const { violations, cut, nowMs } = facts;
  const title = "Violations, the worst first";
  const note = cut.length > 0 && el("p", {}, formatSentence(describeCut(cut)));
  if (violations.length === 0) {
    return renderSection("all", title, note, el("p", {}, describeNothing(facts)));
  }
  return renderSection(
    "all",
    title,
    note,
    ...violations.slice(0, limit).map((found) => renderArticle(found, nowMs)),
    renderMoreNote(
      violations.length - limit,
      "are left out here; `kubectl violations export` has all that are listed.",
    ),
  );
}

function renderArticle(found: ViolationRef, nowMs: number): VNode {
  const { report, violation, accepted } = found;
  const rows = listEvidence(violation).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  const times = `${isLowerBound(found) ? "≥ " : ""}${formatNumber(violation.occurrences)} ×`;
  const outcome = violation.outcome.toLowerCase();
  const { tags } = getRuleFacts(found);
  const facts = [
    getSeverityLevel(found),
    reportPath(report),
    `last ${formatTime(violation.lastSeen)}`,
    ...(accepted === undefined ? [] : [`accepted by ${accepted}`]),
    ...(tags.length === 0 ? [] : [tags.slice(0, 20).join(", ")]),
  ];
  return el(
    "article",
    { id: toAnchor(report, violation.id), class: `${outcome}-one` },
    el("h3", {}, `${times} ${formatTitle(violation)}`),
    el(
      "p",
      { class: "faint" },
      el("span", { class: `word-${outcome}` }, violation.outcome),
      ` · ${facts.join(" · ")} · `,
      el("code", {}, violation.id),
    ),
    el("p", {}, [describeViolation(found), ...describeRule(found), ...describeExtent(found, nowMs)].join(" ")),
    rows.length > 0 && el("dl", {}, ...rows),
  );
}
