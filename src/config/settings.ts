// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The schema's tree as lists: settings and sections by path, with the names they have in the environment.
// Invariant: derived from schema.ts alone, so help texts, documents and checks can't drift from it.

import * as z from "zod";
import { assert } from "../lib/assert.ts";
import { configSchema } from "./schema/schema.ts";
import { type SettingFacts, sectionFacts, settingFacts } from "./schema/setting.ts";

export interface Setting extends SettingFacts {
  /** `reports.maxBytes` */
  path: string;
  /** `PVO_REPORTS_MAX_BYTES` */
  env: string;
  schema: z.ZodType;
}

export interface Section {
  /** `feed.relay`; empty for the top. */
  path: string;
  about: string;
  /** The names of its direct children. */
  keys: readonly string[];
}

/** The beginning of every environment variable that sets something. */
export const ENV_PREFIX = "PVO_";

/** Returns the environment variable of a path: `reports.maxBytes` is `PVO_REPORTS_MAX_BYTES`. */
export function toEnvironmentName(path: string): string {
  const words = path.replaceAll(".", "_").replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  return ENV_PREFIX + words.toUpperCase();
}

function walk(schema: z.ZodObject, path: string, found: { settings: Setting[]; sections: Section[] }): void {
  const about = sectionFacts.get(schema)?.about ?? "";
  found.sections.push({ path, about, keys: Object.keys(schema.shape) });
  for (const [key, child] of Object.entries(schema.shape)) {
    const childPath = path === "" ? key : `${path}.${key}`;
    if (child instanceof z.ZodObject) {
      walk(child, childPath, found);
      continue;
    }
    assert(child instanceof z.ZodType, `${childPath} is a zod schema`);
    const facts = settingFacts.get(child);
    assert(facts !== undefined, `${childPath} has a description`);
    found.settings.push({ ...facts, path: childPath, env: toEnvironmentName(childPath), schema: child });
  }
}

const found: { settings: Setting[]; sections: Section[] } = { settings: [], sections: [] };
walk(configSchema, "", found);

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = found.settings;

/** Every section, the top (path "") first. */
export const sections: readonly Section[] = found.sections;

/** Settings by path, settings by environment variable, sections by path. */
export const settingByPath: ReadonlyMap<string, Setting> = new Map(settings.map((one) => [one.path, one]));
export const settingByEnv: ReadonlyMap<string, Setting> = new Map(settings.map((one) => [one.env, one]));
export const sectionByPath: ReadonlyMap<string, Section> = new Map(sections.map((one) => [one.path, one]));
