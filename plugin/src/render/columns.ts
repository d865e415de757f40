// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Lays a table out in the cells of a terminal. A text is only ever cut at its end, the last column first.
// Invariant: no line is wider than the terminal, as long as it has room for the least of every column that must stay.

import cliTruncate from "cli-truncate";
import stringWidth from "string-width";
import wrapAnsi from "wrap-ansi";

export interface Column<T> {
  title: string;
  cell: (row: T) => string;
  /** Wraps the finished cell in a color; must not change its width. */
  style?: (text: string, row: T) => string;
  /** Cells below which it is never cut; default: it is never cut. */
  minWidth?: number;
  /** Left out where the table is too wide. */
  isOptional?: boolean;
  align?: "right";
}

const GAP = 2;

/** Steps that narrow a table until it fits. */
const STEPS = [
  { lastWidth: 32, hasOptional: true, otherShare: undefined },
  { lastWidth: 26, hasOptional: true, otherShare: 1 },
  { lastWidth: 26, hasOptional: false, otherShare: 1 },
  { lastWidth: 18, hasOptional: false, otherShare: 0.75 },
  { lastWidth: 12, hasOptional: false, otherShare: 0.75 },
] as const;

/** Cells that a text takes on a terminal. */
export function measureWidth(text: string): number {
  return stringWidth(text);
}

/** Cuts a text at its end. */
export function truncate(text: string, width: number): string {
  return cliTruncate(text, width);
}

/** Prints header and rows; nothing is cut where `width` is undefined. */
export function layOut<T>(columns: readonly Column<T>[], rows: readonly T[], width: number | undefined): string {
  if (width === undefined) return print(measure(columns, rows), rows);
  for (const { lastWidth, hasOptional, otherShare } of STEPS) {
    const shown = columns.filter(({ isOptional }) => hasOptional || !isOptional);
    const table = measure(shown, rows);
    // A wide screen gives the last column its quarter.
    const last = otherShare === 1 ? Math.max(lastWidth, Math.floor(width / 4)) : lastWidth;
    if (shrink(table, width, last, otherShare) || lastWidth === 12) return print(table, rows);
  }
  return "";
}

interface Table<T> {
  columns: readonly Column<T>[];
  cells: string[][];
  widths: number[];
}

function measure<T>(columns: readonly Column<T>[], rows: readonly T[]): Table<T> {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map(({ title }, i) =>
    cells.reduce((widest, row) => Math.max(widest, measureWidth(row[i] ?? "")), title.length),
  );
  return { columns, cells, widths };
}

/**
 * Takes cells from the last column down to `lastWidth`, then from the widest of the others down to their share of
 * `minWidth`; true if that is enough.
 */
function shrink<T>(
  { columns, widths }: Table<T>,
  width: number,
  lastWidth: number,
  otherShare: number | undefined,
): boolean {
  const last = widths.length - 1;
  let excess = widths.reduce((sum, w) => sum + w, 0) + GAP * last - width;
  const give = (i: number, cells: number) => {
    widths[i] = (widths[i] ?? 0) - cells;
    excess -= cells;
  };
  give(last, Math.max(0, Math.min(excess, (widths[last] ?? 0) - lastWidth)));
  while (otherShare !== undefined && excess > 0) {
    let widest = -1;
    columns.forEach(({ minWidth }, i) => {
      const own = widths[i] ?? 0;
      if (i === last || minWidth === undefined || own <= Math.ceil(minWidth * otherShare)) return;
      if (own > (widths[widest] ?? 0)) widest = i;
    });
    if (widest < 0) return false;
    give(widest, 1);
  }
  return excess <= 0;
}

function print<T>({ columns, cells, widths }: Table<T>, rows: readonly T[]): string {
  const header = columns.map((column, i) => pad(column, column.title, widths[i] ?? 0));
  const lines = cells.map((row, r) =>
    columns.map((column, i) => {
      const fitted = truncate(row[i] ?? "", widths[i] ?? 0);
      const styled = column.style ? column.style(fitted, rows[r] as T) : fitted;
      return pad(column, styled, widths[i] ?? 0);
    }),
  );
  return [header, ...lines].map((line) => `${line.join(" ".repeat(GAP)).trimEnd()}\n`).join("");
}

function pad<T>({ align }: Column<T>, text: string, width: number): string {
  const blanks = " ".repeat(Math.max(0, width - measureWidth(text)));
  return align === "right" ? blanks + text : text + blanks;
}

/** Breaks a text into lines of at most `width` cells at its spaces; a longer word keeps a line of its own. */
export function wrap(text: string, width: number | undefined, indent = ""): string {
  if (width === undefined) return `${indent}${text}`;
  const lines = wrapAnsi(text, width - indent.length, { trim: true });
  return lines.replace(/^/gm, indent);
}
