// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The forms of -o that programs read: json, yaml, name, csv, and kubectl's jsonpath and custom-columns.

import { stringify as stringifyCsv } from "csv-stringify/sync";
import { stringify } from "yaml";
import { API_GROUP } from "../../../src/api/names.ts";
import { type Column, layOut } from "../render/columns.ts";
import { toFlatRow } from "../render/violation-table.ts";
import { createUsageError } from "../reports/problem.ts";
import type { ViolationRef } from "../reports/report-view.ts";
import { escapeData, plain } from "../text/escape.ts";
import { query, renderTemplate, toText } from "./jsonpath.ts";

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
    const names = found.map(({ report }) => `${report.kind.toLowerCase()}.${API_GROUP}/${report.metadata.name}`);
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
export function parseDataForm(output: string | undefined): ((data: Data, hasHeaders: boolean) => string) | undefined {
  if (output === undefined || output === "wide") return undefined;
  const [, form = "", argument] = /^([^=]*)(?:=(.*))?$/s.exec(output) ?? [];
  const print = PRINTERS[form];
  if (!print || WITH_ARGUMENT.includes(form) !== (argument !== undefined)) {
    throw createUsageError(`invalid value "${plain(output)}" for -o: expected one of wide, ${DATA_FORMS.join(", ")}.`);
  }
  // A mistake in the argument shows before anything is read.
  if (argument !== undefined) print({ found: [], document: { violations: [] } }, argument, true);
  return (data, hasHeaders) => print(data, argument ?? "", hasHeaders);
}

export function toYaml(value: unknown): string {
  return stringify(escapeData(value), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    compat: "yaml-1.1",
    indentSeq: false,
  });
}

/** Returns the first value of a path, for a cell or for sorting. */
export function getValueAt(path: string, value: unknown): unknown {
  return query(path, escapeData(value))[0];
}

function renderColumns(text: string, rows: readonly unknown[], hasHeaders: boolean): string {
  const columns = text.split(",").map((part): Column<unknown> => {
    const [, title, path] = /^([^:]+):(.+)$/s.exec(part) ?? [];
    if (title === undefined || path === undefined) {
      throw createUsageError(`invalid custom column "${plain(part)}": expected HEADER:.path, such as ID:.id.`);
    }
    query(path, {});
    return { title, cell: (row) => query(path, row).map(toText).join(",") || "<none>" };
  });
  const table = layOut(columns, escapeData(rows) as unknown[], undefined);
  return hasHeaders ? table : table.slice(table.indexOf("\n") + 1);
}
