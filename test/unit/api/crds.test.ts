// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tests of the CRDs without a server: their names, their bounds, and that the two are twins.

import { describe, expect, test } from "vitest";
import {
  API_GROUP,
  API_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../../../src/api/names.ts";
import { CLUSTER_CRD, type Crd, getSchema, NAMESPACED_CRD, readCrd, type Schema, walk } from "./crd.ts";
import { createFullClusterReport, createFullReport } from "./full-report.ts";

const namespaced = readCrd(NAMESPACED_CRD);
const cluster = readCrd(CLUSTER_CRD);
const both = [
  ["namespaced", namespaced],
  ["cluster", cluster],
] as const;

function findPaths(crd: Crd, offends: (schema: Schema) => boolean): string[] {
  return [...walk(getSchema(crd))].filter(([, schema]) => offends(schema)).map(([path]) => path);
}

test.each([
  [namespaced, "Namespaced", REPORT_KIND, REPORT_PLURAL, "policyviolationreport", "pvr"],
  [cluster, "Cluster", CLUSTER_REPORT_KIND, CLUSTER_REPORT_PLURAL, "clusterpolicyviolationreport", "cpvr"],
] as const)("the names are those of src/api/names.ts (%#)", (crd, scope, kind, plural, singular, short) => {
  expect(crd.metadata.name).toBe(`${plural}.${API_GROUP}`);
  expect(crd.spec.group).toBe(API_GROUP);
  expect(crd.spec.scope).toBe(scope);
  expect(crd.spec.versions.map((version) => version.name)).toEqual([API_VERSION]);
  expect(crd.spec.names).toEqual({
    kind,
    listKind: `${kind}List`,
    plural,
    singular,
    shortNames: [short],
    categories: ["kubearmor"],
  });
});

describe.each(both)("every field of the %s report", (_name, crd) => {
  test("has a description that is a sentence", () => {
    expect(findPaths(crd, (s) => !/^[A-Z`0-9].* .*[^ ]\.$/s.test(s.description ?? ""))).toEqual([]);
  });

  test("is bounded", () => {
    expect(findPaths(crd, (s) => s.type === "string" && !s.enum && s.maxLength === undefined)).toEqual([]);
    expect(findPaths(crd, (s) => s.type === "array" && s.maxItems === undefined)).toEqual([]);
    expect(findPaths(crd, (s) => s.type === "integer" && s.minimum === undefined)).toEqual([]);
  });

  test("costs the API server little: lists are atomic, and nothing is of any shape", () => {
    expect(findPaths(crd, (s) => s.type === "array" && s["x-kubernetes-list-type"] !== "atomic")).toEqual([]);
    expect(findPaths(crd, (s) => s.type === "object" && s.properties === undefined)).toEqual([]);
  });
});

test("the two reports differ in what their first lines say, and in nothing else", () => {
  const twin = structuredClone(cluster);
  const violation = getSchema(twin).properties?.["violations"]?.items?.properties ?? {};
  delete violation["namespace"];
  delete violation["node"];
  const version = twin.spec.versions[0]!;
  const nodes = version.additionalPrinterColumns.findIndex((column) => column.name === "Nodes");
  version.additionalPrinterColumns[nodes] = {
    name: "Pods",
    type: "integer",
    jsonPath: ".summary.pods",
    description: "Distinct pods that violated the policy.",
  };
  getSchema(twin).description = getSchema(namespaced).description!;
  expect(version).toEqual(namespaced.spec.versions[0]);
});

test.each([
  [namespaced, createFullReport("wordpress-mysql")],
  [cluster, createFullClusterReport()],
] as const)("the reports that other tests send have every field (%#)", (crd, report) => {
  const missing = (schema: Schema, value: unknown, path: string): string[] => {
    if (schema.items) return missing(schema.items, Array.isArray(value) ? value[0] : undefined, `${path}[]`);
    if (value === undefined) return [path];
    return Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
      missing(child, (value as Record<string, unknown>)[name], `${path}.${name}`),
    );
  };
  expect(missing(getSchema(crd), report, "")).toEqual([]);
});
