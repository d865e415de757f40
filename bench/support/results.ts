// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The results as a page: when and where, the table of aims, and each scenario's own table.
// Invariant: a figure that misses its aim stands there with the reason, or says that it has none yet.

import type { Detail, Findings, Row } from "./scenario.ts";

/** One scenario's end. */
export interface Outcome {
  readonly name: string;
  readonly about: string;
  readonly findings?: Findings;
  /** Reason for which there are no findings. */
  readonly skipped?: string;
  readonly failed?: string;
}

export interface Page {
  readonly date: string;
  /** Name and value: machine, versions, the command. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly outcomes: readonly Outcome[];
  /** By figure: why it misses its aim, and the next step. */
  readonly reasons: Readonly<Record<string, string>>;
}

const NO_REASON = "not yet explained";

/** Writes the page as Markdown. */
export function renderResultsPage({ date, facts, outcomes, reasons }: Page): string {
  const rows = outcomes.flatMap(({ findings }) => findings?.rows ?? []);
  return [
    "<!-- Written by `npm run bench`; the reasons are in bench/reasons.json. -->",
    "# Benchmark",
    `${date}, one run. Absolute numbers are this machine's; ratios travel.`,
    renderTable(["", ""], facts),
    renderTable(
      ["figure", "against", "aim", "measured", "met", "reason and next step"],
      rows.map((row) => renderCells(row, reasons)),
    ),
    ...outcomes.flatMap(renderSection),
  ]
    .join("\n\n")
    .concat("\n");
}

function renderCells({ figure, against, aim, measured, met }: Row, reasons: Page["reasons"]): string[] {
  const reason = met === false ? (reasons[figure] ?? NO_REASON) : "";
  return [figure, against, aim, measured, met === undefined ? "no aim" : met ? "yes" : "**no**", reason];
}

function renderSection({ name, about, findings, skipped, failed }: Outcome): string[] {
  if (failed !== undefined) return [`## ${name}`, `${about} Failed: ${failed}`];
  if (skipped !== undefined) return [`## ${name}`, `${about} Skipped: ${skipped}`];
  const details = findings?.details ?? [];
  if (details.length === 0) return [];
  return [`## ${name}`, about, ...details.map(({ head, lines }: Detail) => renderTable(head, lines))];
}

/** A table in Markdown. */
export function renderTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (values: readonly string[]) => `| ${values.map(escapeCell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** A row for the terminal. */
export function formatRow({ figure, against, aim, measured, met }: Row): string {
  const verdict = met === undefined ? "" : met ? " (met)" : " (not met)";
  const aimed = aim === "" ? "" : `, aim ${aim}${verdict}`;
  return `  ${figure}: ${measured}${against === "" ? "" : ` against ${against}`}${aimed}`;
}
