// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The two CustomResourceDefinitions of crds/, as tests look at them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Field, Shape } from "./shape.ts";

/** An OpenAPI v3 schema, as far as the CRDs use it. */
export interface Schema {
  type: "object" | "array" | "string" | "integer" | "boolean";
  description?: string;
  format?: string;
  enum?: string[];
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  maxLength?: number;
  maxItems?: number;
  minimum?: number;
  "x-kubernetes-list-type"?: string;
}

export interface Column {
  name: string;
  type: string;
  jsonPath: string;
  description: string;
  priority?: number;
}

export interface Crd {
  metadata: { name: string };
  spec: {
    group: string;
    scope: string;
    names: Record<string, string | string[]>;
    versions: {
      name: string;
      additionalPrinterColumns: Column[];
      selectableFields: { jsonPath: string }[];
      schema: { openAPIV3Schema: Schema };
    }[];
  };
}

export const ROOT = join(import.meta.dirname, "../../..");
export const NAMESPACED_CRD = join(ROOT, "crds/policyviolationreports.yaml");
export const CLUSTER_CRD = join(ROOT, "crds/clusterpolicyviolationreports.yaml");

/** Reads a CRD of crds/. */
export function readCrd(path: string): Crd {
  return parse(readFileSync(path, "utf8")) as Crd;
}

/** The schema of a CRD's only version. */
export function getSchema(crd: Crd): Schema {
  const [version, ...others] = crd.spec.versions;
  if (version === undefined || others.length > 0) throw new Error("expected one version");
  return version.schema.openAPIV3Schema;
}

/** Every node of a schema with its path, `violations.pods.name`; the root's path is "". */
export function* walk(schema: Schema, path = ""): Generator<[path: string, schema: Schema]> {
  yield [path, schema];
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    yield* walk(child, path === "" ? name : `${path}.${name}`);
  }
}

/** The schema without its bounds and descriptions. */
export function toShape(schema: Schema): Shape {
  switch (schema.type) {
    case "object":
      return { kind: "object", fields: toFields(schema) };
    case "array":
      if (schema.items === undefined) throw new Error("a list without items");
      return { kind: "list", items: toShape(schema.items) };
    case "string":
      if (schema.enum) return { kind: "enum", values: schema.enum };
      return { kind: schema.format === "date-time" ? "time" : "string" };
    default:
      return { kind: schema.type };
  }
}

function toFields(schema: Schema): Record<string, Field> {
  const required = new Set(schema.required);
  const fields: Record<string, Field> = {};
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    fields[name] = { optional: !required.delete(name), shape: toShape(child) };
  }
  if (required.size > 0) throw new Error(`required, but not defined: ${[...required].join(", ")}`);
  return fields;
}
