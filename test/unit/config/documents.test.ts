// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Copies that must not drift from the schema: the documents and the CRDs' bounds.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { settings } from "../../../src/config/settings.ts";
import { documents } from "../../../tools/docs.ts";

const ROOT = join(import.meta.dirname, "../../..");

test.each([...documents])("%s is up to date (else run: node tools/docs.ts)", (path, text) => {
  expect(readFileSync(join(ROOT, path), "utf8")).toBe(text());
});

interface Schema {
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
}

test.each(["policyviolationreports", "clusterpolicyviolationreports"])(
  "no setting allows longer lists than the CRD %s",
  (plural) => {
    const crd = parse(readFileSync(join(ROOT, "crds", `${plural}.yaml`), "utf8")) as {
      spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
    };
    const violations = crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.["violations"];
    const findMax = (path: string) => settings.find((setting) => setting.path === path)?.bounds?.max;
    expect(violations?.maxItems).toBe(findMax("reports.maxViolations"));
    expect(violations?.items?.properties?.["pods"]?.maxItems).toBe(findMax("reports.maxPodsPerViolation"));
  },
);

test("every setting has a description, a default and its own variable", () => {
  for (const { path, env, about, default: value, defaultText } of settings) {
    expect(about, path).toMatch(/^[A-Z].*\.$/);
    expect(value ?? defaultText, path).toBeDefined();
    expect(env, path).toMatch(/^PVO(_[A-Z]+)+$/);
  }
  expect(new Set(settings.map(({ env }) => env)).size).toBe(settings.length);
});
