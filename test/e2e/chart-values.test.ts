// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tests of the chart without helm: its copies are equal to their originals, and its schema knows the
// operator's whole configuration, so that a misspelt setting is refused at `helm install` and not by the pod.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { settings } from "../../src/config/settings.ts";
import { buildInfoDefinition, metricGroups, writeDurationDefinition } from "../../src/telemetry/metric-list.ts";
import { scaleMetrics } from "../../src/telemetry/scale-metrics.ts";
import { readChartValues } from "../../tools/chart-values.ts";
import { parseList } from "../support/text-table.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "charts/policy-violation-operator");
const SCHEMA_FILE = join(CHART, "values.schema.json");

interface Node {
  type?: unknown;
  description?: string;
  additionalProperties?: unknown;
  properties?: Record<string, Node>;
  [other: string]: unknown;
}

test("values.schema.json knows every setting of the configuration but those of the chart, in both forms", () => {
  const { config } = JSON.parse(readFileSync(SCHEMA_FILE, "utf8")).properties as Record<string, Node>;
  const known = new Set(listSchemaKeys(config as Node, ""));
  const unknown = settings.map(({ path }) => `.${path}`).filter((path) => !known.has(path));
  expect(unknown).toEqual(
    parseList(`
    .kubeconfig | .identity | .journal.path | .leaderElection.leaseNamespace | .scale.enabled | .scale.nats.secretPath
    .metrics.address | .health.address
  `),
  );
  const { reports, openReports } = config?.properties ?? {};
  expect(reports?.properties?.["maxViolations"]).toMatchObject({ type: "integer", minimum: 1, maximum: 1000 });
  expect(reports?.properties?.["retentionMs"]).toMatchObject({
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: expect.stringContaining("ms|s|m|h|d|w") },
    ],
  });
  expect(openReports?.properties?.["enabled"]).toMatchObject({ enum: ["auto", "true", "false", true, false] });
});

/** Every key of values.yaml with its children, but not below those with keys of the user. */
function listKeys(values: unknown, schema: Node, path: string): string[] {
  if (schema.properties === undefined || path === ".config") return [path];
  const inside = Object.entries(values as Record<string, unknown>);
  return inside.flatMap(([key, value]) => listKeys(value, schema.properties?.[key] ?? {}, `${path}.${key}`));
}

function listSchemaKeys(schema: Node, path: string): string[] {
  if (schema.properties === undefined || path === ".config") return [path];
  return Object.entries(schema.properties).flatMap(([key, child]) => listSchemaKeys(child, `${path}.${key}`));
}

test("values.schema.json and values.yaml have the same keys, all the way down", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const values = parse(readFileSync(join(CHART, "values.yaml"), "utf8"));
  const inSchema = listSchemaKeys(schema, "").filter((path) => path !== ".global");
  expect(listKeys(values, schema, "").sort()).toEqual(inSchema.sort());
  expect(inSchema.length).toBeGreaterThan(70);
});

test("values.yaml says of every value what it is for", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const described = new Set(readChartValues().map(({ path }) => `.${path}`));
  const silent = listSchemaKeys(schema, "").filter((path) => path !== ".global" && !described.has(path));
  // These are said of as a whole.
  expect(silent).toEqual(["", ".gitExport"].flatMap((at) => [`${at}.resources.requests`, `${at}.resources.limits`]));
});

test("values.schema.json leaves no object open but those with keys of the user", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const open: string[] = [];
  const visit = (node: Node, path: string) => {
    const isOpen = JSON.stringify(node.additionalProperties ?? {}) === "{}";
    if (node.type === "object" && isOpen) open.push(path);
    for (const [name, child] of Object.entries(node.properties ?? {})) visit(child, `${path}.${name}`);
  };
  visit(schema, "");
  expect(open).toEqual(
    parseList(`
    .journal.volume | .dashboard.grafanaOperator.instanceSelector | .affinity | .dnsConfig | .podSecurityContext
    .securityContext | .global
  `),
  );
});

test("every alert has its section in the runbook, and every section its alert", () => {
  const { groups } = parse(readFileSync(join(CHART, "files/alerts.yaml"), "utf8")) as {
    groups: { rules: { alert: string; annotations: Record<string, string> }[] }[];
  };
  const alerts = groups.flatMap(({ rules }) => rules);
  const sections = readFileSync(join(ROOT, "docs/runbook.md"), "utf8").match(/(?<=^## )\S+$/gm);
  expect(alerts.map(({ alert }) => alert)).toEqual(sections);
  for (const { alert, annotations } of alerts) {
    expect(annotations["runbook_url"]).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  }
});

test("alerts and dashboard speak of no metric that there is not", () => {
  const known = [...metricGroups.flatMap(({ metrics }) => metrics), ...scaleMetrics].map(({ name }) => name);
  const all = [...known, buildInfoDefinition.name, `${writeDurationDefinition.name}_bucket`];
  for (const file of ["alerts.yaml", "dashboard.json"]) {
    const used = readFileSync(join(CHART, "files", file), "utf8").match(/policy_violation_\w+/g) ?? [];
    expect(used.length, file).toBeGreaterThan(10);
    expect(
      used.filter((name) => !all.includes(name)),
      file,
    ).toEqual([]);
  }
});

test("the chart and the package have one version", () => {
  const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8"));
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
});
