// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit as one HTML page: nothing is loaded, nothing runs, and the page says so to the browser itself.
// Invariant: every text becomes an element's text or attribute, which the renderer escapes.

import type { VNode } from "preact";
import type { Outcome } from "../../../src/api/v1alpha1.ts";
import { type Child, el, group, raw, renderMarkup } from "../render/markup.ts";
import { formatMs } from "../reports/when.ts";
import { formatCount, formatNumber, plural } from "../reports/words.ts";
import { rankChart, renderSwatch, renderTimelineChart } from "./audit-charts.ts";
import { renderSection } from "./audit-elements.ts";
import type { Facts } from "./audit-facts.ts";
import { renderAcceptances, renderCompleteness, renderControls, renderPolicies } from "./audit-registers.ts";
import { STYLE } from "./audit-style.ts";
import { renderUnenforced, renderViolations } from "./audit-violations.ts";
import { describeState, listAbout } from "./audit-words.ts";

/** Even if markup got into the page, nothing would run and nothing be fetched. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** Returns the whole page; at most `limit` violations in full. */
export function renderPage(facts: Facts, limit: number): string {
  const head = el(
    "head",
    {},
    el("meta", { charset: "utf-8" }),
    el("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    el("meta", { "http-equiv": "Content-Security-Policy", content: POLICY }),
    el("meta", { name: "referrer", content: "no-referrer" }),
    el("title", {}, `Policy violations, ${formatMs(facts.nowMs)}`),
    raw("style", STYLE),
  );
  const about = listAbout(facts).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  const body = el(
    "body",
    {},
    el(
      "header",
      {},
      el("h1", {}, "Policy violations"),
      el("p", { class: "faint" }, `${facts.about}, as of ${formatMs(facts.nowMs)}.`),
      renderState(facts),
      el("dl", { class: "about" }, ...about),
    ),
    el(
      "main",
      {},
      renderTotals(facts),
      renderUnenforced(facts, limit),
      renderTimeline(facts),
      renderWorst(facts),
      renderControls(facts),
      renderAcceptances(facts),
      renderCompleteness(facts),
      renderPolicies(facts),
      renderViolations(facts, limit),
    ),
    el(
      "footer",
      {},
      el("p", { class: "faint" }, "Written by kubectl violations audit from the reports of policy-violation-operator."),
    ),
  );
  return `<!doctype html>\n${renderMarkup(el("html", { lang: "en" }, head, body))}\n`;
}

function renderState(facts: Facts): Child {
  const state = describeState(facts);
  if (state === undefined) return undefined;
  return el("p", { class: state.isBad ? "banner bad" : "banner", role: "alert" }, state.text);
}

const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = {
  Allowed: "allowed",
  Unknown: "of unknown outcome",
  Prevented: "prevented",
};

function renderTotals({
  totals,
  accepted,
  matching,
  severities,
  uncovered,
  cut,
  filter,
  isAcceptedAtLeast,
}: Facts): VNode {
  const { counts, violations, isAtLeast, isListAtLeast } = totals;
  const item = (n: number, isLess: boolean, what: string, className = "") =>
    el("li", {}, el("strong", { class: className }, `${isLess ? "≥ " : ""}${formatNumber(n)}`), what);
  const cells = [
    ...filter.outcomes.map((outcome) => {
      const what = `${plural(counts[outcome], "occurrence")} ${OUTCOME_WORDS[outcome]}`;
      return item(counts[outcome], isAtLeast, what, `word-${outcome.toLowerCase()}`);
    }),
    item(violations, isListAtLeast, `open ${plural(violations, "violation")}`),
    item(accepted, isAcceptedAtLeast, `accepted ${plural(accepted, "violation")}, not in these numbers`),
    item(matching.length, false, plural(matching.length, "report")),
  ];
  const bySeverity = severities.map(([level, n]) =>
    el("li", { class: `severity-${level}` }, el("strong", {}, formatNumber(n)), level),
  );
  const isLess = isAtLeast || isListAtLeast || uncovered.length > 0;
  return el(
    "section",
    { "aria-label": "Totals" },
    el("ul", { class: "totals" }, ...cells),
    el("ul", { class: "severities", "aria-label": "Listed open violations by severity" }, ...bySeverity),
    isLess &&
      el(
        "p",
        {},
        cut.length > 0 ? "The severities are those of the listed violations; lists are cut. " : "",
        "Numbers with ≥ are lower bounds (",
        el("a", { href: "#completeness" }, "why"),
        ").",
      ),
  );
}

const LEGEND = ["allowed", "unknown", "prevented"];

function renderTimeline({ timeline }: Facts): Child {
  if (!timeline) return undefined;
  const legend = LEGEND.map((name) => el("li", {}, renderSwatch(name), name));
  return renderSection(
    "time",
    "Over time",
    el("ul", { class: "legend" }, ...legend),
    el("figure", {}, ...renderTimelineChart(timeline), el("figcaption", {}, timeline.notes.join(" "))),
  );
}

function renderWorst({ workloads, policies, cut }: Facts): Child {
  if (workloads.length === 0) return undefined;
  const figure = (name: string, chart: VNode) =>
    el("figure", {}, el("figcaption", {}, `${name}, by what was allowed, then by what was prevented`), chart);
  return renderSection(
    "worst",
    "Worst first",
    el(
      "div",
      { class: "pair" },
      figure("Workloads", rankChart(workloads, "Workloads")),
      figure("Policies", rankChart(policies, "Policies")),
    ),
    cut.length > 0
      ? el("p", {}, `The bars show listed violations; the lists of ${formatCount(cut.length, "report")} are cut.`)
      : group(),
  );
}
