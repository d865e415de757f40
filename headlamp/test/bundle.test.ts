// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The plugin as one file for a browser. Headlamp's own build needs its packages; this one shows that the sources fit
// together and take nothing from Node.js or from the root's packages.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build, transform } from "esbuild";
import { beforeAll, expect, test } from "vitest";

const FOLDER = join(import.meta.dirname, "..");
/** Modules that Headlamp gives to its plugins at run time. */
const GIVEN = ["@kinvolk/headlamp-plugin/lib*", "@mui/material", "react", "react/jsx-runtime", "react-router-dom"];

let code = "";
let imports: string[] = [];
let sources: string[] = [];

beforeAll(async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(FOLDER, "src/index.tsx")],
    bundle: true,
    format: "esm",
    platform: "browser",
    jsx: "automatic",
    external: GIVEN,
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  code = outputFiles[0]?.text ?? "";
  sources = Object.keys(metafile.inputs);
  imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
});

test("needs only what Headlamp gives", () => {
  const given = GIVEN.map((name) => new RegExp(`^${name.replace("*", ".*")}$`));
  expect(imports.length).toBeGreaterThan(3);
  expect(imports.filter((path) => !given.some((pattern) => pattern.test(path)))).toEqual([]);
});

test("has no module that names a global of Node.js, used or not: Headlamp's build would look for a polyfill", async () => {
  const named: string[] = [];
  for (const source of sources) {
    const { code } = await transform(readFileSync(source, "utf8"), { loader: "tsx", legalComments: "none" });
    if (/\b(Buffer|process|global)\.\w|\bsetImmediate\(/.test(code)) named.push(source);
  }
  expect(sources.length).toBeGreaterThan(20);
  expect(named).toEqual([]);
});

test("registers its pages, its sections and its settings, and is small", () => {
  const calls = (name: string) => code.split(`${name}(`).length - 1;
  expect(["registerRoute", "registerDetailsViewSection", "registerPluginSettings"].map(calls)).toEqual([4, 1, 1]);
  expect(code.length).toBeLessThan(150_000);
});

test("has the version of the operator, and its own lock file without a registry", () => {
  const read = (path: string) => readFileSync(join(FOLDER, path), "utf8");
  const { version, name } = JSON.parse(read("package.json"));
  expect(version).toBe(JSON.parse(read("../package.json")).version);
  expect(read("src/cluster/settings.ts")).toContain(`PLUGIN = "${name}"`);
  expect(read("package-lock.json")).not.toContain('"resolved": "http');
});
