// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the chart's values.yaml with its comments, and writes the chart's README.md from it in the form of helm-docs.
// Invariant: the README describes a value by the comment above it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const CHART = join(import.meta.dirname, "../charts/policy-violation-operator");

/** A value that its comment describes. */
export interface ChartValue {
  /** As `--set` takes it. */
  path: string;
  about: string;
  default: unknown;
}

/** Returns every value of values.yaml above which a comment begins with `# --`, in the order of the file. */
export function readChartValues(): ChartValue[] {
  const text = readFileSync(join(CHART, "values.yaml"), "utf8");
  const defaults: unknown = parse(text);
  const values: ChartValue[] = [];
  const open: { indent: number; key: string }[] = [];
  let about: string[] = [];
  for (const line of text.split("\n")) {
    const comment = /^ *# ?(.*)$/.exec(line)?.[1];
    if (comment !== undefined) {
      if (comment.startsWith("-- ")) about = [comment.slice(3)];
      else if (about.length > 0) about.push(comment);
      continue;
    }
    const [, spaces = "", key] = /^( *)([A-Za-z]\w*):/.exec(line) ?? [];
    if (key === undefined) continue;
    while ((open.at(-1)?.indent ?? -1) >= spaces.length) open.pop();
    open.push({ indent: spaces.length, key });
    if (about.length === 0) continue;
    const keys = open.map((one) => one.key);
    values.push({ path: keys.join("."), about: about.join(" "), default: getValueAt(defaults, keys) });
    about = [];
  }
  return values;
}

function getValueAt(values: unknown, keys: readonly string[]): unknown {
  return keys.reduce((at, key) => (at as Record<string, unknown>)[key], values);
}

const TYPES: Readonly<Record<string, string>> = { string: "string", boolean: "bool", number: "int" };

/** As helm-docs prints it: keys in the order of the alphabet. */
function sortKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sortKeys(each)]));
}

function formatRow({ path, about, default: value }: ChartValue): string {
  const type = Array.isArray(value) ? "list" : (TYPES[typeof value] ?? "object");
  return `| ${path} | ${type} | \`${JSON.stringify(sortKeys(value))}\` | ${about.replaceAll("|", "\\|")} |\n`;
}

interface ChartFile {
  name: string;
  version: string;
  appVersion: string;
  type: string;
  description: string;
  kubeVersion: string;
  home: string;
  sources: string[];
  maintainers: { name: string; email?: string; url?: string }[];
}

function formatBadge(label: string, value: string): string {
  return `![${label}: ${value}](https://img.shields.io/badge/${label}-${value}-informational?style=flat-square)`;
}

/** The text that helm-docs puts in the place of its templates, as far as README.md.gotmpl uses them. */
function renderSections(chart: ChartFile): Readonly<Record<string, string>> {
  const { version, type, appVersion } = chart;
  const people = chart.maintainers.map(
    ({ name, email, url }) => `| ${name} | ${email ? `<${email}>` : ""} | ${url ? `<${url}>` : ""} |`,
  );
  const rows = readChartValues().sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    header: `# ${chart.name}\n`,
    badgesSection: `${formatBadge("Version", version)} ${formatBadge("Type", type)} ${formatBadge("AppVersion", appVersion)}`,
    description: chart.description,
    homepageLine: `**Homepage:** <${chart.home}>`,
    requirementsSection: `## Requirements\n\nKubernetes: \`${chart.kubeVersion}\``,
    valuesSection: `## Values\n\n| Key | Type | Default | Description |\n|-----|------|---------|-------------|\n${rows.map(formatRow).join("").trimEnd()}`,
    maintainersSection: `## Maintainers\n\n| Name | Email | Url |\n| ---- | ------ | --- |\n${people.join("\n")}`,
    sourcesSection: `## Source Code\n\n${chart.sources.map((url) => `* <${url}>`).join("\n")}`,
  };
}

/** Returns the text of the chart's README.md, as helm-docs 1.14 writes it from README.md.gotmpl. */
export function renderChartReadme(): string {
  const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as ChartFile;
  const known = renderSections(chart);
  const template = readFileSync(join(CHART, "README.md.gotmpl"), "utf8");
  return template.replace(/\{\{ template "chart\.(\w+)" \. \}\}/g, (_, name: string) => {
    const text = known[name];
    if (text === undefined) throw new Error(`README.md.gotmpl uses the unknown template chart.${name}`);
    return text;
  });
}
