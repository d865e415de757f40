// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit as one HTML page: nothing is loaded, nothing runs, and the page says so to the browser itself.
// Invariant: every text from a report goes through `markup`.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { markup } from "../render/escape.ts";
import {
  deedOf,
  isLowerBound,
  namespaceOf,
  provenanceOf,
  reportPath,
  type ViolationRef,
} from "../reports/report-view.ts";
import {
  count,
  coverage,
  evidence,
  extent,
  grouped,
  headline,
  plural,
  verdict,
} from "../reports/sentences.ts";
import { tellMs, told } from "../reports/when.ts";
import { rankChart, timelineChart } from "./audit-charts.ts";
import { type Facts, MAX_UNENFORCED } from "./audit-facts.ts";
import { STYLE } from "./audit-style.ts";

/** So many are told in full; a page beyond that is read by nobody, and the export has all. */
const MAX_TOLD = 1000;
/** Even if somebody found a way to get HTML into the page, nothing would run and nothing be fetched. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** Returns the whole page. */
export function auditPage(facts: Facts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<title>Policy violations, ${markup(tellMs(facts.nowMs))}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Policy violations</h1>
<p class="faint">${markup(facts.about)}, as of ${markup(tellMs(facts.nowMs))}</p>
</header>
<main>
${[totals(facts), unenforced(facts), overTime(facts), worst(facts), trust(facts), policies(facts), details(facts)].join("\n")}
</main>
<footer><p class="faint">Written by kubectl violations audit from KubeArmor's alerts, as policy-violation-operator keeps them.</p></footer>
</body>
</html>
`;
}

function totals({ counts, violations, accepted, reports, isLowerBound: isLess }: Facts): string {
  const open = violations.length - accepted;
  const items: [number, string, string][] = [
    [counts.Allowed, `${plural(counts.Allowed, "occurrence")} allowed`, "word-allowed"],
    [counts.Unknown, "not known whether stopped", "word-unknown"],
    [counts.Prevented, `${plural(counts.Prevented, "occurrence")} prevented`, "word-prevented"],
    [open, plural(open, "violation"), ""],
    [accepted, "accepted, not in the numbers", ""],
    [reports.length, plural(reports.length, "report"), ""],
  ];
  const shown = items.filter(([n, , name]) => n > 0 || name === "word-allowed" || name === "word-prevented");
  const cells = shown.map(
    ([n, what, name]) => `<li><strong${name ? ` class="${name}"` : ""}>${grouped(n)}</strong>${what}</li>`,
  );
  const note = isLess
    ? `<p>The numbers are lower bounds: alerts are known to have been missed (<a href="#trust">why</a>).</p>`
    : "";
  return `<section aria-label="Totals"><ul class="totals">${cells.join("")}</ul>${note}</section>`;
}

function unenforced({ unenforced: found }: Facts): string {
  const head = `<section aria-labelledby="unenforced"><h2 id="unenforced">Allowed, though it should have been blocked</h2>`;
  if (found.length === 0)
    return `${head}<p>Nothing: every policy that says Block was enforced.</p></section>`;
  const rows = found.slice(0, MAX_UNENFORCED).map((one) => {
    const { violation } = one;
    const cells = [
      namespaceOf(one),
      `${violation.workload.kind}/${violation.workload.name}`,
      deedOf(violation),
    ];
    return `<tr>${cells.map((cell) => `<td>${markup(cell)}</td>`).join("")}<td>${link(one)}</td><td class="number">${grouped(violation.occurrences)}</td></tr>`;
  });
  return `${head}<p>The policy says Block, and the node or the pod does not enforce it.</p>
${scrolling("Allowed, though it should have been blocked", `<table><thead><tr><th scope="col">Namespace</th><th scope="col">Workload</th><th scope="col">What</th><th scope="col">Policy</th><th scope="col" class="number">Times</th></tr></thead><tbody>${rows.join("")}</tbody></table>`)}${moreBelow(found.length - MAX_UNENFORCED)}</section>`;
}

function moreBelow(rest: number): string {
  return rest > 0 ? `<p>And ${count(rest, "more violation")}, among all of them below.</p>` : "";
}

/** A wide table scrolls by itself, and the keyboard can get at it. */
function scrolling(label: string, table: string): string {
  return `<div class="scroll" role="region" aria-label="${label}, as a table" tabindex="0">${table}</div>`;
}

function link({ report, violation }: ViolationRef): string {
  return `<a href="#${anchor(report, violation.id)}">${markup(report.policy.name)}</a>`;
}

function anchor({ metadata }: Report, id: string): string {
  return markup(`v-${metadata.namespace ?? ""}-${metadata.name}-${id}`.replace(/[^\w.-]/g, "_"));
}

const LEGEND = `<ul class="legend">${["allowed", "unknown", "prevented"]
  .map(
    (name) =>
      `<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="${name}" width="12" height="12"/></svg>${name}</li>`,
  )
  .join("")}</ul>`;

function overTime({ timeline }: Facts): string {
  if (!timeline) return "";
  const note =
    timeline.unplaced === 0
      ? "Every occurrence is where it belongs."
      : `At least so many: of ${count(timeline.unplaced, "more occurrence")} the reports tell only that they lie between the first and the last time of their violation. Where there is no bar it need not have been quiet.`;
  return `<section aria-labelledby="time"><h2 id="time">Over time</h2>${LEGEND}<figure>${timelineChart(timeline)}<figcaption>${note}</figcaption></figure></section>`;
}

function worst({ workloads, policies: ranked }: Facts): string {
  if (workloads.length === 0) return "";
  return `<section aria-labelledby="worst"><h2 id="worst">Worst first</h2><div class="pair">
<figure><figcaption>Workloads, by what was allowed, then by what was prevented</figcaption>${rankChart(workloads, "Workloads")}</figure>
<figure><figcaption>Policies, by what was allowed, then by what was prevented</figcaption>${rankChart(ranked, "Policies")}</figure>
</div></section>`;
}

function trust({ uncovered, reports }: Facts): string {
  const head = `<section aria-labelledby="trust"><h2 id="trust">How far the numbers can be trusted</h2>`;
  const whole = reports.length - uncovered.length;
  const good =
    whole === 0
      ? ""
      : `<p>No gap is known in ${count(whole, "report")}: their numbers are all that KubeArmor sent.</p>`;
  const groups = new Map<string, string[]>();
  for (const report of uncovered) {
    const text = coverage(report).map(markup).join(" ");
    groups.set(text, [...(groups.get(text) ?? []), reportPath(report)]);
  }
  const items = [...groups].map(
    ([text, paths]) => `<p><strong>${paths.map(markup).join(", ")}</strong>: ${text}</p>`,
  );
  return `${head}${good}${items.join("\n")}<p>What KubeArmor itself did not send nobody can know.</p></section>`;
}

function policies({ reports }: Facts): string {
  const rows = reports.map((report) => {
    const { policy, summary, metadata } = report;
    const from = provenanceOf(report)
      .map(([key, value]) => `${markup(key)}: <code>${markup(value)}</code>`)
      .join("<br>");
    const cells = [metadata.namespace ?? "", policy.name, policy.kind, summary.severity].map(
      (cell) => `<td>${markup(cell)}</td>`,
    );
    return `<tr>${cells.join("")}<td class="number">${grouped(summary.prevented)}</td><td class="number">${grouped(summary.allowed)}</td><td>${from || "not known"}</td></tr>`;
  });
  if (rows.length === 0) return "";
  return `<section aria-labelledby="policies"><h2 id="policies">Policies</h2>
${scrolling("Policies", `<table><caption>Whole reports, accepted violations included</caption><thead><tr><th scope="col">Namespace</th><th scope="col">Policy</th><th scope="col">Kind</th><th scope="col">Severity</th><th scope="col" class="number">Prevented</th><th scope="col" class="number">Allowed</th><th scope="col">Policy object</th></tr></thead><tbody>${rows.join("")}</tbody></table>`)}</section>`;
}

function details({ violations, nowMs }: Facts): string {
  const head = `<section aria-labelledby="all"><h2 id="all">Every violation, the worst first</h2>`;
  if (violations.length === 0) return `${head}<p>There is none.</p></section>`;
  const rest = violations.length - MAX_TOLD;
  const note =
    rest > 0
      ? `<p>${count(rest, "more violation")} of less weight are left out here; \`kubectl violations export\` has all.</p>`
      : "";
  return `${head}${violations
    .slice(0, MAX_TOLD)
    .map((found) => article(found, nowMs))
    .join("\n")}${note}</section>`;
}

function article(found: ViolationRef, nowMs: number): string {
  const { report, violation, accepted } = found;
  const rows = evidence(violation).map(([name, value]) => `<dt>${name}</dt><dd>${markup(value)}</dd>`);
  const times = `${isLowerBound(found) ? "≥ " : ""}${grouped(violation.occurrences)} ×`;
  const title = `${times} ${markup(deedOf(violation))}`;
  const mark = accepted === undefined ? "" : ` · accepted: ${markup(accepted)}`;
  const outcome = violation.outcome.toLowerCase();
  return `<article id="${anchor(report, violation.id)}" class="${markup(outcome)}-one"><h3>${title}</h3>
<p class="faint"><span class="word-${markup(outcome)}">${markup(violation.outcome)}</span> · ${markup(report.summary.severity)} · ${markup(reportPath(report))} · <code>${markup(violation.id)}</code> · last ${markup(told(violation.lastSeen))}${mark}</p>
<p>${[headline(found), ...verdict(found), ...extent(found, nowMs)].map(markup).join(" ")}</p>${rows.length > 0 ? `<dl>${rows.join("")}</dl>` : ""}</article>`;
}
