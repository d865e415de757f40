// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Sections and tables of the audit page.

import type { VNode } from "preact";
import { type Child, el } from "../render/markup.ts";

/** A section with a heading that links can name. */
export function renderSection(id: string, title: string, ...children: readonly Child[]): VNode {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** Column titles; one that begins with `#` is of numbers. */
export type Titles = readonly string[];

/** A table that scrolls by itself on a desk; on a phone each row becomes a block, its cells with their titles. */
export function renderTable(label: string, titles: Titles, rows: readonly (readonly Child[])[]): VNode {
  const isNumber = (title: string) => title.startsWith("#");
  const name = (title: string) => title.replace(/^#/, "");
  const head = titles.map((title) =>
    el("th", { scope: "col", class: isNumber(title) ? "number" : undefined }, name(title)),
  );
  const body = rows.map((cells) =>
    el(
      "tr",
      {},
      ...cells.map((cell, i) => {
        const title = titles[i] ?? "";
        return el("td", { "data-title": name(title), class: isNumber(title) ? "number" : undefined }, cell);
      }),
    ),
  );
  return el(
    "div",
    { class: "scroll", role: "region", "aria-label": `${label}, as a table`, tabindex: "0" },
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)),
  );
}

/** A note on rows that a bound leaves out. */
export function renderMoreNote(rest: number, where: string): Child {
  return rest > 0 && el("p", {}, `${rest.toLocaleString("en")} more ${where}`);
}
