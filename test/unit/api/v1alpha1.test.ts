// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The report's types and the CRDs' schemas are written by hand, each for its readers; here they are held equal.
// The types are read as text, so that a plain `vitest run` notices, without the compiler.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLUSTER_CRD, getSchema, NAMESPACED_CRD, ROOT, readCrd, toShape } from "./crd.ts";
import { parseInterfaceShape } from "./interface-shape.ts";
import { compareShapes } from "./shape.ts";

const source = readFileSync(join(ROOT, "src/api/v1alpha1.ts"), "utf8");
const clusterSchema = getSchema(readCrd(CLUSTER_CRD));

function compare(types: string): string[] {
  return compareShapes(parseInterfaceShape(types, "ReportBody"), toShape(clusterSchema));
}

function editSource(find: string, replacement: string): string {
  expect(source.split(find)).toHaveLength(2);
  return source.replace(find, replacement);
}

describe("the types of a report", () => {
  test("equal the schema of the cluster report", () => {
    expect(compare(source)).toEqual([]);
  });

  test("equal the schema of the namespaced report but for the two fields that it does not have", () => {
    const types = parseInterfaceShape(source, "ReportBody");
    expect(compareShapes(types, toShape(getSchema(readCrd(NAMESPACED_CRD))))).toEqual([
      ".violations[].namespace: only in the types",
      ".violations[].node: only in the types",
    ]);
  });

  test("a report is its body and what every Kubernetes object has", () => {
    const body = parseInterfaceShape(source, "ReportBody");
    const fields = body.kind === "object" ? Object.keys(body.fields) : [];
    const own = /export interface Report extends ReportBody \{([^}]*)\}/.exec(source)?.[1] ?? "";
    expect([...own.matchAll(/^ {2}(\w+)/gm)].map((m) => m[1])).toEqual(["apiVersion", "kind", "metadata"]);
    expect(fields).toEqual(["policy", "summary", "violations", "omitted", "expired", "coverage"]);
  });
});

describe("the comparison notices", () => {
  test.each([
    ["a new field of the types", "  tty?: string;", "  tty?: string;\n  shell?: string;", ".shell: only in the types"],
    ["a new field of the schema", "  tty?: string;\n", "", ".tty: only in the schema"],
    ["a field that became optional", "  gaps: number;", "  gaps?: number;", "optional in the types, required in"],
    ["a field that became required", "  cwd?: string;", "  cwd: string;", "required in the types, optional in"],
    ["another type", "  gaps: number;", "  gaps: string;", ".gaps: string in the types, integer in the schema"],
    ["a time that is any text", "  time: MicroTime;", "  time: string;", "string in the types, time in the schema"],
    ["a new word of a closed set", '  | "DefaultPosture"', '  | "DefaultPosture"\n  | "Preset"', "Preset"],
    ["a field of an unnamed object", "{ algorithm?: string; process", "{ process", ".hashes.algorithm: only in"],
    [
      "a list that is not a list",
      "  violations: Violation[];",
      "  violations: Violation;",
      "object in the types, list in",
    ],
  ])("%s", (_what, find, replacement, said) => {
    const found = compare(editSource(find, replacement));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(said);
  });

  test("a type that it cannot read", () => {
    expect(() => compare(editSource("  gaps: number;", "  gaps: number | string;"))).toThrow("not understood");
    expect(() => compare(editSource("  gaps: number;", "  gaps: Date;"))).toThrow("no exported type Date");
    expect(() => compare(editSource("  gaps: number;", "  [gap: string]: number;"))).toThrow("not understood");
  });
});
