// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The common shape of a TypeScript interface and an OpenAPI schema, and differences between two of them.

/** The form of a value, without bounds and descriptions. */
export type Shape =
  | { kind: "string" | "time" | "integer" | "boolean" }
  | { kind: "enum"; values: string[] }
  | { kind: "list"; items: Shape }
  | { kind: "object"; fields: Record<string, Field> };

export interface Field {
  optional: boolean;
  shape: Shape;
}

/** Says, one line each, where two shapes differ; `left` and `right` name the sides. Empty when they are equal. */
export function compareShapes(left: Shape, right: Shape, path = ""): string[] {
  if (left.kind === "list" && right.kind === "list") return compareShapes(left.items, right.items, `${path}[]`);
  if (left.kind === "object" && right.kind === "object") {
    const names = new Set([...Object.keys(left.fields), ...Object.keys(right.fields)]);
    return [...names].flatMap((name) => compareFields(left.fields[name], right.fields[name], `${path}.${name}`));
  }
  const [a, b] = [formatShape(left), formatShape(right)];
  return a === b ? [] : [`${path}: ${a} in the types, ${b} in the schema`];
}

function compareFields(left: Field | undefined, right: Field | undefined, path: string): string[] {
  if (left === undefined) return [`${path}: only in the schema`];
  if (right === undefined) return [`${path}: only in the types`];
  const found = compareShapes(left.shape, right.shape, path);
  if (left.optional === right.optional) return found;
  const [a, b] = left.optional ? ["optional", "required"] : ["required", "optional"];
  return [...found, `${path}: ${a} in the types, ${b} in the schema`];
}

function formatShape(shape: Shape): string {
  return shape.kind === "enum" ? `enum of ${[...shape.values].sort().join("|")}` : shape.kind;
}
