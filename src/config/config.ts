// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The configuration: flag before environment before file before default, validated as a whole.
// Invariant: pure and total; every problem is found in one pass, and a Config that exists is right and frozen.

import type * as z from "zod";
import { assert } from "../lib/assert.ts";
import { type ConfigProblem, describeValue } from "./config-problem.ts";
import { type InForce, validateCombinations } from "./cross-checks.ts";
import { type Environment, type FlagInputs, readEnvironment, readFlags } from "./environment.ts";
import { readFileText } from "./file.ts";
import type { InputValue } from "./input-value.ts";
import { configSchema, IDENTITY } from "./schema/schema.ts";
import { normalize } from "./schema/setting.ts";
import { type Setting, settingByPath, settings } from "./settings.ts";

type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The settings in force, deeply frozen. */
export type Config = Frozen<z.infer<typeof configSchema>>;

export interface ConfigInput {
  flags?: FlagInputs;
  env?: Environment;
  /** The text of the YAML file; absent when there is none. */
  fileText?: string | undefined;
  /** The file's name for messages; default `configuration`. */
  filePath?: string | undefined;
  /** Facts about the place where the program runs, for defaults that depend on it. */
  place: {
    /** The host's name and a random part; characters that an identity can't have become '-'. */
    identity: string;
    /** The pod's own namespace, where there is one. */
    namespace?: string | undefined;
  };
}

export type ConfigResult =
  | {
      config: Config;
      /** Origin of each value that is not the default, by path. */
      sources: ReadonlyMap<string, string>;
    }
  | { problems: ConfigProblem[] };

/** The defaults that are not constants, lowest first: later ones win. */
function placeDefaults({ env = {}, place }: ConfigInput): InputValue[] {
  const identity = place.identity.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[._-]+|[._-]+$/g, "");
  const defaults: InputValue[] = [
    { path: "identity", value: IDENTITY.test(identity) ? identity : "unnamed", source: "default" },
    { path: "leaderElection.leaseNamespace", value: place.namespace || "kubearmor", source: "default" },
  ];
  if (env["POD_NAME"]) defaults.push({ path: "identity", value: env["POD_NAME"], source: "POD_NAME" });
  if (env["POD_NAMESPACE"]) {
    const value = env["POD_NAMESPACE"];
    defaults.push({ path: "leaderElection.leaseNamespace", value, source: "POD_NAMESPACE" });
  }
  return defaults;
}

function describeWrongForm(setting: Setting, value: unknown): string {
  const must = `must be ${setting.expects}`;
  if (value === null || value === undefined) return `${must}; leave the line out for the default`;
  const isQuoted = typeof value === "string" && (setting.kind === "number" || setting.kind === "boolean");
  if (isQuoted && /^(-?\d+|true|false)$/.test(value)) return `${must}; write it without quotes`;
  if (setting.kind === "list" && typeof value === "string") return `${must}, such as ["a", "b"]`;
  return must;
}

/** Checks one value, given and normalized, against its own schema. Problems show it as it was given. */
function judge({ path, value, source }: InputValue, normalized: unknown, setting: Setting): ConfigProblem[] {
  const result = setting.schema.safeParse(normalized);
  if (result.success) return [];
  const informative = setting.kind === "list" ? result.error.issues.filter((issue) => issue.code === "custom") : [];
  const messages = informative.map((issue) => issue.message);
  if (messages.length === 0 || messages.length < result.error.issues.length) {
    messages.push(describeWrongForm(setting, value));
  }
  return messages.map((message) => ({
    path,
    ...(setting.sensitive || source === "default" ? {} : { value: describeValue(value) }),
    source,
    message,
  }));
}

function toTree(values: ReadonlyMap<string, InForce>): object {
  const root: Record<string, unknown> = {};
  for (const [path, { value }] of values) {
    const keys = path.split(".");
    const last = keys.pop();
    assert(last !== undefined, "a path has a last key");
    let section = root;
    for (const key of keys) {
      section[key] ??= {};
      section = section[key] as Record<string, unknown>;
    }
    section[last] = value;
  }
  return root;
}

function freeze<T>(value: T): Frozen<T> {
  if (typeof value === "object" && value !== null) {
    for (const child of Object.values(value)) freeze(child);
    Object.freeze(value);
  }
  return value as Frozen<T>;
}

/**
 * Returns the configuration in force, or every problem at once.
 *
 * Each source is judged whole: a wrong value in the file is a problem even where a flag overrides it.
 */
export function parseConfig(input: ConfigInput): ConfigResult {
  const { flags = {}, env = {}, fileText, filePath = "configuration" } = input;
  const file = fileText === undefined ? { given: [], problems: [] } : readFileText(fileText, filePath);
  const environment = readEnvironment(env);
  const problems = [...file.problems, ...environment.problems];

  const values = new Map<string, InForce>();
  for (const { path, default: value } of settings) {
    if (value !== undefined) values.set(path, { value, source: "default" });
  }
  const wrong = new Set<string>();
  // Lowest precedence first, so that the last one wins.
  for (const given of [...placeDefaults(input), ...file.given, ...environment.given, ...readFlags(flags)]) {
    const setting = settingByPath.get(given.path);
    assert(setting !== undefined, `${given.path} is a setting`);
    const value = normalize(setting, given.value);
    const faults = judge(given, value, setting);
    if (faults.length > 0) wrong.add(given.path);
    problems.push(...faults);
    values.set(given.path, { value, source: given.source });
  }
  for (const path of wrong) values.delete(path);
  problems.push(...validateCombinations(values));
  if (problems.length > 0) return { problems };

  const sources = new Map<string, string>();
  for (const [path, { source }] of values) if (source !== "default") sources.set(path, source);
  return { config: freeze(configSchema.parse(toTree(values))), sources };
}
