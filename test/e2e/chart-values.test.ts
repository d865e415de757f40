// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What can be said of the chart without helm: its copies are equal to their originals, and its schema knows the
// operator's whole configuration, so that a misspelt setting is refused at `helm install` and not by the pod.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { sections, settings } from "../../src/config/settings.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "charts/policy-violation-operator");
const SCHEMA_FILE = join(CHART, "values.schema.json");
const HOW_TO_UPDATE = "to rewrite it: UPDATE_GOLDEN=1 npx vitest run test/e2e/chart-values.test.ts";
/** Rewrites the copies before comparing them. */
const UPDATE = process.env["UPDATE_GOLDEN"] === "1" && !process.env["CI"];

/** Settings that the chart itself decides, so that nobody can set them at odds with its objects. */
const OWNED_BY_CHART = new Set([
  "kubeconfig",
  "identity",
  "metrics.address",
  "leaderElection.leaseNamespace",
]);

interface Node {
  type?: unknown;
  description?: string;
  additionalProperties?: boolean;
  properties?: Record<string, Node>;
  [other: string]: unknown;
}

function configSchemaOf(path: string): Node {
  const section = sections.find((one) => one.path === path);
  if (section === undefined) return settingSchemaOf(path);
  const children = section.keys
    .map((key) => ({ key, path: path === "" ? key : `${path}.${key}` }))
    .filter((child) => !OWNED_BY_CHART.has(child.path))
    .map((child) => [child.key, configSchemaOf(child.path)] as const)
    // A section of which nothing is left.
    .filter(([, schema]) => schema.properties === undefined || Object.keys(schema.properties).length > 0);
  const description = path === "" ? "The operator's configuration file." : section.about;
  return {
    type: "object",
    additionalProperties: false,
    description,
    properties: Object.fromEntries(children),
  };
}

function settingSchemaOf(path: string): Node {
  const setting = settings.find((one) => one.path === path);
  if (setting === undefined) throw new Error(`no setting ${path}`);
  const { $schema, ...schema } = z.toJSONSchema(setting.schema);
  return { ...schema, description: setting.about } as Node;
}

test("values.schema.json knows every setting of the configuration", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const expected = configSchemaOf("");
  if (UPDATE) {
    schema.properties.config = expected;
    writeFileSync(SCHEMA_FILE, `${JSON.stringify(schema, null, 2)}\n`);
  }
  expect(schema.properties.config, HOW_TO_UPDATE).toEqual(expected);
  expect(expected.properties?.["metrics"]).toBeUndefined();
  expect(expected.properties?.["reports"]?.properties?.["maxViolations"]).toMatchObject({
    type: "integer",
    minimum: 1,
    maximum: 1000,
  });
});

test("values.schema.json and values.yaml have the same keys", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const values = parse(readFileSync(join(CHART, "values.yaml"), "utf8"));
  const keys = (node: Node) => Object.keys(node.properties ?? {}).sort();
  expect(Object.keys({ ...values, global: {} }).sort()).toEqual(keys(schema));
  for (const name of ["image", "serviceAccount", "rbac", "resources"]) {
    expect(Object.keys(values[name]).sort(), name).toEqual(keys(schema.properties[name]));
  }
});

test("values.schema.json leaves no object open but those whose keys belong to the user", () => {
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
  const open: string[] = [];
  const visit = (node: Node, path: string) => {
    if (node.type === "object" && node.additionalProperties !== false) open.push(path);
    for (const [name, child] of Object.entries(node.properties ?? {})) visit(child, `${path}.${name}`);
  };
  visit(schema, "");
  expect(open).toEqual([".affinity", ".global"]);
});

test("the chart's CRDs are the repository's, byte by byte", () => {
  const originals = readdirSync(join(ROOT, "crds")).sort();
  expect(originals).toEqual(["clusterpolicyviolationreports.yaml", "policyviolationreports.yaml"]);
  for (const file of originals) {
    const original = readFileSync(join(ROOT, "crds", file));
    if (UPDATE) writeFileSync(join(CHART, "crds", file), original);
    expect(readFileSync(join(CHART, "crds", file)).equals(original), `${file}; ${HOW_TO_UPDATE}`).toBe(true);
  }
  expect(readdirSync(join(CHART, "crds")).sort()).toEqual(originals);
});

test("the chart and the package have one version", () => {
  const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8"));
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
});
