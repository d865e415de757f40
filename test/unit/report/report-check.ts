// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rules for every report, for any input: the CRD's schema as the API server checks it, safe
// text, and sums that add up. Each check returns what is wrong, in words; nothing when all is well.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { CLUSTER_CRD, getSchema, NAMESPACED_CRD, readCrd, type Schema } from "../api/crd.ts";

const NAMESPACED = getSchema(readCrd(NAMESPACED_CRD));
const CLUSTER = getSchema(readCrd(CLUSTER_CRD));

/** Everything that is wrong with a report. */
export function findFaults(report: Report): string[] {
  const { apiVersion: _, kind, metadata, ...body } = report;
  const schema = kind === "PolicyViolationReport" ? NAMESPACED : CLUSTER;
  // Reports are sent as JSON: an undefined member is not sent.
  const sent = JSON.parse(JSON.stringify(body)) as unknown;
  return [
    ...checkSchema(schema, sent, ""),
    ...checkText(sent, ""),
    ...nameFaults(metadata.name, metadata.namespace),
    ...sumFaults(report),
    ...orderFaults(report),
  ];
}

interface Bounded extends Schema {
  maximum?: number;
}

/** Checks a value against the part of OpenAPI v3 that the CRDs use; unknown fields are faults, as with `Strict`. */
export function checkSchema(schema: Bounded, value: unknown, path: string): string[] {
  switch (schema.type) {
    case "object":
      return checkObject(schema, value, path);
    case "array":
      if (!Array.isArray(value)) return [`${path}: no list`];
      return [
        ...(value.length > (schema.maxItems ?? 0) ? [`${path}: ${value.length} items`] : []),
        ...value.flatMap((item, i) => checkSchema(schema.items as Schema, item, `${path}[${i}]`)),
      ];
    case "string":
      return checkString(schema, value, path);
    case "boolean":
      return typeof value === "boolean" ? [] : [`${path}: no boolean`];
    default:
      return checkInteger(schema, value, path);
  }
}

function checkObject(schema: Schema, value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${path}: no object`];
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(value, name));
  const members = Object.entries(value).flatMap(([name, member]) => {
    const child = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    return child ? checkSchema(child, member, `${path}.${name}`) : [`${path}.${name}: not in the schema`];
  });
  return [...missing.map((name) => `${path}.${name}: missing`), ...members];
}

function checkString(schema: Schema, value: unknown, path: string): string[] {
  if (typeof value !== "string") return [`${path}: no text`];
  const faults: string[] = [];
  // The API server counts code points.
  if ([...value].length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) faults.push(`${path}: too long`);
  if (schema.enum && !schema.enum.includes(value)) faults.push(`${path}: ${value} is none of ${schema.enum}`);
  const isWhole = path.startsWith(".summary.history.");
  const form = isWhole ? /^\d{4}-\d\d-\d\dT\d\d:00:00Z$/ : /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
  if (schema.format === "date-time" && !form.test(value)) {
    faults.push(`${path}: ${value} is not a time`);
  }
  return faults;
}

function checkInteger(schema: Bounded, value: unknown, path: string): string[] {
  if (!Number.isSafeInteger(value)) return [`${path}: ${JSON.stringify(value)} is not an integer`];
  const number = value as number;
  if (number < (schema.minimum ?? number)) return [`${path}: ${number} is too small`];
  return number > (schema.maximum ?? number) ? [`${path}: ${number} is too large`] : [];
}

function checkText(value: unknown, path: string): string[] {
  if (typeof value === "string") {
    const faults: string[] = [];
    if (/[\p{C}\u2028\u2029]/u.test(value)) faults.push(`${path}: unsafe character in ${JSON.stringify(value)}`);
    const maxBytes = /\.tags\[\d+\]$/.test(path) ? 256 : 512;
    if (Buffer.byteLength(value) > maxBytes) faults.push(`${path}: ${Buffer.byteLength(value)} bytes`);
    return faults;
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    checkText(member, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`),
  );
}

function nameFaults(name: string, namespace: string | undefined): string[] {
  const isName = name.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) && !name.includes("..");
  const isNamespace = namespace === undefined || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace);
  return [...(isName ? [] : [`name: ${name}`]), ...(isNamespace ? [] : [`namespace: ${namespace}`])];
}

function sumFaults({ summary, violations, omitted, expired }: Report): string[] {
  const faults: string[] = [];
  const expectSum = (what: string, parts: number, whole: number) => {
    if (parts !== whole) faults.push(`${what}: ${parts} is not ${whole}`);
  };
  const listed = violations.reduce((sum, violation) => sum + violation.occurrences, 0);
  const { prevented, allowed, unknown } = summary;
  expectSum("outcomes", prevented + allowed + unknown, summary.occurrences);
  const away = (omitted?.occurrences ?? 0) + (expired?.occurrences ?? 0);
  expectSum("occurrences", listed + away, summary.occurrences);
  const gone = (omitted?.violations ?? 0) + (expired?.violations ?? 0);
  expectSum("violations", violations.length + gone, summary.violations);
  for (const { id, occurrences, pods = [] } of violations) {
    const inPods = pods.reduce((sum, pod) => sum + pod.occurrences, 0);
    if (inPods > occurrences) faults.push(`${id}: ${inPods} in its pods, ${occurrences} in all`);
  }
  return faults;
}

function orderFaults({ summary, violations }: Report): string[] {
  const faults: string[] = [];
  const ids = new Set(violations.map((violation) => violation.id));
  if (ids.size !== violations.length) faults.push("an id comes twice");
  for (const [i, v] of violations.entries()) {
    const next = violations[i + 1];
    if (next && (next.lastSeen > v.lastSeen || (next.lastSeen === v.lastSeen && next.id < v.id))) {
      faults.push(`${v.id} stands before ${next.id}`);
    }
    if (v.firstSeen > v.lastSeen) faults.push(`${v.id}: first after last`);
    if (v.firstSeen < summary.firstSeen || v.lastSeen > summary.lastSeen) faults.push(`${v.id}: outside the summary`);
  }
  return faults;
}
