// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One setting: a zod schema for its value and, in a registry, what a person needs to know about it.
// Invariant: a setting can't be built without a description, a default and a statement of the valid values.

import * as z from "zod";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../lib/quantity.ts";

/** Form of a value in an environment variable. */
export type SettingKind = "number" | "boolean" | "text" | "list";

/** A command line option that sets a setting; without `argument` it stands for `false` (`--no-…`). */
export interface SettingFlag {
  name: string;
  argument?: string;
}

export interface SettingFacts {
  kind: SettingKind;
  /** Description in one or two sentences. */
  about: string;
  /** Completes "must be …". */
  expects: string;
  /** Absent where the default depends on where the program runs; then `defaultText` says how. */
  default?: number | boolean | string | readonly string[];
  defaultText?: string;
  /** `ms`, `bytes` or a plural noun; absent where the value has no unit. */
  unit?: string;
  /** Range of a number, both ends inclusive. */
  bounds?: { min: number; max: number };
  flag?: SettingFlag;
  /** Values of a closed list. */
  words?: readonly string[];
  /** True where a value may hold a secret: problems then never repeat it. */
  sensitive?: boolean;
}

/**
 * Returns the value that the schema judges: durations and sizes as numbers, booleans as words where a word is meant.
 * What has none of these forms is returned as it is.
 */
export function normalize({ unit, words }: Pick<SettingFacts, "unit" | "words">, value: unknown): unknown {
  if (typeof value === "boolean" && words?.includes(String(value))) return String(value);
  if (typeof value !== "string") return value;
  if (unit === "ms") return parseDuration(value.trim()) ?? value;
  return unit === "bytes" ? (parseSize(value.trim()) ?? value) : value;
}

export const settingFacts = z.registry<SettingFacts>();

/** The description of every section, by its schema. */
export const sectionFacts = z.registry<{ about: string }>();

interface Common {
  about: string;
  flag?: SettingFlag;
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Writes the bounds of a number as people write them, by its unit. */
function describeBounds(min: number, max: number, unit: string | undefined): string {
  if (unit === "ms") {
    return `a duration from ${formatDuration(min)} to ${formatDuration(max)}, or a whole number of milliseconds`;
  }
  if (unit === "bytes") return `a size from ${formatSize(min)} to ${formatSize(max)}, or a whole number of bytes`;
  return `a whole number${unit === undefined ? "" : ` of ${unit}`} from ${min} to ${max}`;
}

/** A whole number within bounds, both inclusive. A unit of `ms` or `bytes` allows text such as `30s` or `256Mi`. */
export function wholeNumber(facts: Common & { default: number; min: number; max: number; unit?: string }): z.ZodNumber {
  const { min, max, unit, ...rest } = facts;
  const schema = z.number().int().min(min).max(max);
  const expects = describeBounds(min, max, unit);
  const known = { kind: "number", expects, bounds: { min, max }, ...rest } as const;
  settingFacts.add(schema, unit === undefined ? known : { ...known, unit });
  return schema;
}

export function toggle(facts: Common & { default: boolean }): z.ZodBoolean {
  const schema = z.boolean();
  settingFacts.add(schema, { kind: "boolean", expects: "true or false", ...facts });
  return schema;
}

/** One word of a closed list; `true` and `false` may also be given as booleans. */
export function choice<const T extends readonly [string, ...string[]]>(
  words: T,
  facts: Common & { default: T[number] },
) {
  const schema = z.enum(words);
  settingFacts.add(schema, { kind: "text", words, expects: `one of ${words.join(", ")}`, ...facts });
  return schema;
}

export function text(
  facts: Common & { default?: string; defaultText?: string; expects: string; isValid: (value: string) => boolean },
) {
  const { isValid, ...rest } = facts;
  const schema = z.string().refine(isValid);
  settingFacts.add(schema, { kind: "text", ...rest });
  return schema;
}

/** The path of a file, or of what `thing` says; it may be empty where the default is. */
export function path(facts: Common & { default: string }, thing = "file") {
  const orEmpty = facts.default === "" ? ", or empty" : "";
  const isFilled = (value: string) => value !== "" && value.length <= 4096 && !value.includes("\0");
  const isValid = (value: string) => isFilled(value) || value === facts.default;
  return text({ ...facts, expects: `the path of a ${thing}${orEmpty}`, isValid });
}

export function objectName(facts: Common & { default: string }) {
  return text({
    ...facts,
    expects: "the name of a Kubernetes object (lower-case letters, digits, '-' and '.', at most 253)",
    isValid: (value) => value.length <= 253 && DNS_SUBDOMAIN.test(value),
  });
}

/** The name of a namespace; it may be empty where the default is. */
export function namespaceName(facts: Common & { default?: string; defaultText?: string }) {
  const orEmpty = facts.default === "" ? ", or empty" : "";
  return text({
    ...facts,
    expects: `the name of a namespace (lower-case letters, digits and '-', at most 63)${orEmpty}`,
    isValid: (value) => value === facts.default || DNS_LABEL.test(value),
  });
}

/** A list of texts, empty by default; `fault` describes the problem with an item without repeating it. */
export function textList(
  facts: Common & {
    expects: string;
    maxItems: number;
    sensitive?: boolean;
    fault: (item: string) => string | undefined;
  },
) {
  const { maxItems, fault, ...rest } = facts;
  const schema = z.array(z.string()).check((context) => {
    const items = context.value;
    const complain = (message: string) => {
      context.issues.push({ code: "custom", message, input: items });
    };
    if (items.length > maxItems) complain(`has ${items.length} items; at most ${maxItems} are allowed`);
    for (const [index, item] of items.entries()) {
      const message = fault(item);
      if (message !== undefined) complain(`item ${index + 1} ${message}`);
    }
  });
  settingFacts.add(schema, { kind: "list", default: [], ...rest });
  return schema;
}

/** A named group of settings or of further groups. */
export function section<T extends z.ZodRawShape>(about: string, shape: T): z.ZodObject<T> {
  const schema = z.object(shape);
  sectionFacts.add(schema, { about });
  return schema;
}
