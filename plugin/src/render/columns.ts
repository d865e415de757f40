// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Lays a table out in the cells of a terminal: columns line up for wide characters, too, and long ones give way.
// Invariant: no line is wider than the terminal, as long as the terminal has room for the narrowest form.

/** One column; `minWidth` makes it give way down to so many cells where the table is too wide. */
export interface Column<T> {
  title: string;
  cell: (row: T) => string;
  /** Wraps the finished cell in a colour; must not change its width. */
  style?: (text: string, row: T) => string;
  /** Default: the column keeps its width. */
  minWidth?: number;
  /** In place of `minWidth` where even that is too wide. */
  narrowMinWidth?: number;
  /** In place of the title where the table is too wide. */
  narrowTitle?: string;
  /** Left out where the table is too wide. */
  isOptional?: boolean;
  /** Loses its end rather than its middle, and no mark tells: for an id of which a part will do. */
  isPrefix?: boolean;
  align?: "right";
}

const GAP = 3;
const NARROW_GAP = 2;
const ELLIPSIS = "…";
// East Asian wide and emoji presentation take two cells, combining marks none; near enough to what terminals do.
const WIDE =
  /^(?:\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303e\uff01-\uff60\uffe0-\uffe6])/u;
const MARK = /^\p{M}/u;
/** What nearly every cell is made of; each takes one cell. */
const NARROW = /^[\x20-\x7e→…]*$/;

/** The cells that `text` takes on a terminal. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** Cuts the middle out of a text that is wider than `width`: paths and generated names tell most at both ends. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 1) return ELLIPSIS.slice(0, width);
  const characters = [...text];
  const head = take(characters, Math.ceil((width - 1) / 2));
  const tail = take(characters.toReversed(), width - 1 - widthOf(head.join(""))).reverse();
  return head.join("") + ELLIPSIS + tail.join("");
}

function take(characters: readonly string[], width: number): string[] {
  const taken: string[] = [];
  let used = 0;
  for (const character of characters) {
    used += widthOf(character);
    if (used > width) break;
    taken.push(character);
  }
  return taken;
}

/** Prints header and rows; `width` undefined shortens nothing. */
export function layOut<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): string {
  const whole = measure(columns, rows, GAP);
  if (width === undefined || giveWay(whole, width)) return print(whole, rows);
  const titled = columns.map((column) => ({ ...column, title: column.narrowTitle ?? column.title }));
  const close = measure(titled, rows, NARROW_GAP);
  if (giveWay(close, width)) return print(close, rows);
  const fewer = titled
    .filter(({ isOptional }) => !isOptional)
    .map(({ narrowMinWidth, ...column }) =>
      narrowMinWidth ? { ...column, minWidth: narrowMinWidth } : column,
    );
  const narrow = measure<T>(fewer, rows, NARROW_GAP);
  giveWay(narrow, width);
  return print(narrow, rows);
}

/** A table whose cells are known, and how wide each column is to be. */
interface Measured<T> {
  columns: readonly Column<T>[];
  cells: string[][];
  widths: number[];
  gap: number;
}

function measure<T>(columns: readonly Column<T>[], rows: readonly T[], gap: number): Measured<T> {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map(({ title }, i) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[i] ?? "")), title.length),
  );
  return { columns, cells, widths, gap };
}

function print<T>({ columns, cells, widths, gap }: Measured<T>, rows: readonly T[]): string {
  const header = columns.map((column, i) => pad(column, column.title, widths[i] ?? 0));
  const lines = cells.map((row, r) =>
    columns.map((column, i) => {
      const width = widths[i] ?? 0;
      const text = row[i] ?? "";
      const fitted = column.isPrefix ? text.slice(0, width) : shorten(text, width);
      const styled = column.style ? column.style(fitted, rows[r] as T) : fitted;
      return pad(column, styled, width, fitted);
    }),
  );
  return [header, ...lines].map((line) => `${line.join(" ".repeat(gap)).trimEnd()}\n`).join("");
}

/** Takes what a prefix can spare, then cell by cell from the widest that may shrink; tells whether that was enough. */
function giveWay<T>({ columns, widths, gap }: Measured<T>, width: number): boolean {
  let excess = widths.reduce((sum, w) => sum + w, 0) + gap * (columns.length - 1) - width;
  columns.forEach(({ isPrefix, minWidth = 0 }, i) => {
    const spare = isPrefix ? Math.min(Math.max(0, excess), Math.max(0, (widths[i] ?? 0) - minWidth)) : 0;
    widths[i] = (widths[i] ?? 0) - spare;
    excess -= spare;
  });
  while (excess > 0) {
    let widest = -1;
    columns.forEach(({ minWidth }, i) => {
      const own = widths[i] ?? 0;
      if (minWidth !== undefined && own > minWidth && own > (widths[widest] ?? 0)) widest = i;
    });
    if (widest < 0) return false;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return true;
}

function pad<T>(column: Column<T>, text: string, width: number, bare = text): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(bare)));
  return column.align === "right" ? blanks + text : text + blanks;
}

/** Breaks a text into lines of at most `width` cells at its spaces; a longer word keeps a line of its own. */
export function wrap(text: string, width: number | undefined, indent = ""): string {
  if (width === undefined) return `${indent}${text}`;
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    const next = line === indent ? indent + word : `${line} ${word}`;
    if (widthOf(next) > width && line !== indent) {
      lines.push(line);
      line = indent + word;
    } else line = next;
  }
  return [...lines, line].join("\n");
}
