// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

/** Cells of a table that is written as text: a row a line, with bars between the cells. */
export function parseTable(text: string): string[][] {
  return text
    .trim()
    .split("\n")
    .map((row) => row.split("|").map((cell) => cell.trim()));
}

/** Items of a list that is written as text: several a line, with bars between them. */
export function parseList(text: string): string[] {
  return text.trim().split(/ \| |\n */);
}
