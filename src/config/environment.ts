// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads `PVO_…` variables and command line flags into values by path.
// Invariant: the environment is an argument; nothing here looks at the process.

import { describeUnknownName, type InputValue, type Reading } from "./input-value.ts";
import { ENV_PREFIX, type Setting, settingByEnv, settingByPath } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags that were given, by the path of the setting that they set; text is read like a variable's. */
export type FlagInputs = Readonly<Record<string, string | boolean>>;

/**
 * Kubernetes puts the address of every Service of the namespace into the environment, so a Service named `pvo` or
 * `pvo-…` adds variables that are not settings.
 */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name)) return true;
  return /_PORT$/.test(name) ? /^(tcp|udp|sctp):\/\//.test(value) : /_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(name);
}

/** `PVO_CACHE` says where the tests keep their parts; it is a neighbor, no setting. */
const NEIGHBORS: ReadonlySet<string> = new Set(["PVO_CACHE"]);

/** Converts text to the setting's type; text that can't be converted stays text, and fails validation. */
function parseText(setting: Setting, text: string): unknown {
  const trimmed = text.trim();
  switch (setting.kind) {
    case "number":
      return /^[+-]?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : text;
    case "boolean":
      if (/^true$/i.test(trimmed)) return true;
      return /^false$/i.test(trimmed) ? false : text;
    case "list":
      try {
        return JSON.parse(trimmed) as unknown;
      } catch {
        return text;
      }
    case "text":
      return text;
  }
}

/** Reads every `PVO_…` variable; an empty one counts as not set. */
export function readEnvironment(env: Environment): Reading {
  const given: InputValue[] = [];
  const problems: Reading["problems"] = [];
  for (const name of Object.keys(env).sort()) {
    const text = env[name];
    if (!name.startsWith(ENV_PREFIX) || text === undefined || NEIGHBORS.has(name)) continue;
    const setting = settingByEnv.get(name);
    if (setting === undefined) {
      if (!isServiceLink(name, text))
        problems.push(describeUnknownName(name, "environment", settingByEnv.keys(), "variable"));
    } else if (text !== "") {
      given.push({ path: setting.path, value: parseText(setting, text), source: name });
    }
  }
  return { given, problems };
}

/** Reads the flags that were really given. */
export function readFlags(flags: FlagInputs): InputValue[] {
  const given: InputValue[] = [];
  for (const [path, value] of Object.entries(flags)) {
    const setting = settingByPath.get(path);
    if (setting === undefined) continue;
    given.push({
      path,
      value: typeof value === "string" ? parseText(setting, value) : value,
      source: setting.flag?.name ?? "flag",
    });
  }
  return given;
}
