// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The forms of -o that programs read: json, yaml, name, csv, and kubectl's jsonpath and custom-columns.

import { stringify as stringifyCsv } from "csv-stringify/sync";
import { JSONPath } from "jsonpath-plus";
import { stringify } from "yaml";
import { API_GROUP } from "../../../src/api/names.ts";
import { type Column, layOut } from "../render/columns.ts";
import { escapeData, plain } from "../render/escape.ts";
import { toFlatRow } from "../render/violation-table.ts";
import { createUsageError, getMessage } from "../reports/problem.ts";
import type { ViolationRef } from "../reports/report-view.ts";

/** A table of data that is printed for programs. */
export interface Data {
  found: readonly ViolationRef[];
  /** The document of json, yaml and jsonpath. */
  document: { violations: readonly Record<string, unknown>[] } & Record<string, unknown>;
}

type Printer = (data: Data, argument: string, hasHeaders: boolean) => string;

const PRINTERS: Readonly<Record<string, Printer>> = {
  json: ({ document }) => `${JSON.stringify(escapeData(document), null, 2)}\n`,
  yaml: ({ document }) => toYaml(document),
  name: ({ found }) => {
    const names = found.map(
      ({ report }) => `${report.kind.toLowerCase()}.${API_GROUP}/${report.metadata.name}`,
    );
    return [...new Set(names)].map((name) => `${plain(name)}\n`).join("");
  },
  csv: ({ found }, _, hasHeaders) =>
    // A spreadsheet runs a cell that begins with = as a formula.
    stringifyCsv(escapeData(found.map(toFlatRow)) as object[], {
      header: hasHeaders && found.length > 0,
      escape_formulas: true,
    }),
  jsonpath: ({ document }, template) => renderTemplate(template, escapeData(document)),
  "custom-columns": ({ document }, text, hasHeaders) => renderColumns(text, document.violations, hasHeaders),
};

const WITH_ARGUMENT = ["jsonpath", "custom-columns"];

/** The forms, for help and messages. */
export const DATA_FORMS: readonly string[] = Object.keys(PRINTERS).map((form) =>
  WITH_ARGUMENT.includes(form) ? `${form}=…` : form,
);

/** Returns the printer of a form; undefined for a table. Throws a PluginError for an unknown form. */
export function parseDataForm(
  output: string | undefined,
): ((data: Data, hasHeaders: boolean) => string) | undefined {
  if (output === undefined || output === "wide") return undefined;
  const [, form = "", argument] = /^([^=]*)(?:=(.*))?$/s.exec(output) ?? [];
  const print = PRINTERS[form];
  if (!print || WITH_ARGUMENT.includes(form) !== (argument !== undefined)) {
    throw createUsageError(
      `invalid value "${plain(output)}" for -o: expected one of wide, ${DATA_FORMS.join(", ")}.`,
    );
  }
  // A mistake in the argument shows before anything is read.
  if (argument !== undefined) print({ found: [], document: { violations: [] } }, argument, true);
  return (data, hasHeaders) => print(data, argument ?? "", hasHeaders);
}

/** Prints data as YAML. */
export function toYaml(value: unknown): string {
  return stringify(escapeData(value), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    compat: "yaml-1.1",
    indentSeq: false,
  });
}

function query(path: string, value: unknown): unknown[] {
  const text = path.trim().replace(/^\{(.*)\}$/s, "$1");
  if (text === "") throw createUsageError("invalid JSONPath: it is empty.");
  try {
    const rooted = text.startsWith("$") ? text : `$${/^[.[]/.test(text) ? "" : "."}${text}`;
    return JSONPath({ path: rooted, json: value as object, eval: "safe", wrap: true }) as unknown[];
  } catch (error) {
    throw createUsageError(`invalid JSONPath "${plain(path)}": ${plain(getMessage(error))}.`);
  }
}

/** Returns the first value of a path, for a cell or for sorting. */
export function getValueAt(path: string, value: unknown): unknown {
  return query(path, escapeData(value))[0];
}

function toText(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
}

function renderColumns(text: string, rows: readonly unknown[], hasHeaders: boolean): string {
  const columns = text.split(",").map((part): Column<unknown> => {
    const [, title, path] = /^([^:]+):(.+)$/s.exec(part) ?? [];
    if (title === undefined || path === undefined) {
      throw createUsageError(
        `invalid custom column "${plain(part)}": expected HEADER:.path, such as ID:.id.`,
      );
    }
    query(path, {});
    return { title, cell: (row) => query(path, row).map(toText).join(",") || "<none>" };
  });
  const table = layOut(columns, escapeData(rows) as unknown[], undefined);
  return hasHeaders ? table : table.slice(table.indexOf("\n") + 1);
}

/** Renders kubectl's template: text, `{.path}`, `{"text"}`, `{range .path}…{end}`. */
function renderTemplate(template: string, root: unknown): string {
  const tokens = template.split(/(\{[^{}]*\})/).filter((token) => token !== "");
  let at = 0;
  const block = (value: unknown): string => {
    let out = "";
    for (; at < tokens.length; at++) {
      const token = tokens[at] ?? "";
      const inner = /^\{(.*)\}$/s.exec(token)?.[1]?.trim();
      if (inner === undefined) out += token;
      else if (inner === "end") return out;
      else if (/^(["']).*\1$/s.test(inner)) out += removeQuotes(inner);
      else if (inner.startsWith("range ")) out += loop(inner.slice("range ".length), value);
      else out += query(inner, value).map(toText).join(" ");
    }
    return out;
  };
  const loop = (path: string, value: unknown): string => {
    const values = query(path, value);
    const start = at + 1;
    // The body is walked once for an empty list, too, to find its end.
    const parts = (values.length === 0 ? [{}] : values).map((one) => {
      at = start;
      return block(one);
    });
    if (tokens[at] === undefined) throw createUsageError("invalid JSONPath template: {range} without {end}.");
    return values.length === 0 ? "" : parts.join("");
  };
  const out = block(root);
  if (at < tokens.length) throw createUsageError("invalid JSONPath template: {end} without {range}.");
  return out;
}

function removeQuotes(text: string): string {
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t" };
  return text.slice(1, -1).replace(/\\(.)/gs, (_, character: string) => escapes[character] ?? character);
}
