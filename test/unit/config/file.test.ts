// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadFileText } from "../../../src/config/file.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pvo-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function getProblem(path: string): string | undefined {
  const result = loadFileText(path);
  return "problems" in result ? result.problems[0]?.message : undefined;
}

test("a file is read as text", () => {
  const path = join(folder, "good.yaml");
  writeFileSync(path, "log: {level: debug}\n");
  expect(loadFileText(path)).toEqual({ text: "log: {level: debug}\n" });
});

test("a missing file, a directory and a huge file are reported, not thrown", () => {
  expect(getProblem(join(folder, "none.yaml"))).toMatch(/^can't be read: ENOENT/);
  expect(getProblem(folder)).toBe("is a directory; --config takes a file");
  const huge = join(folder, "huge.yaml");
  writeFileSync(huge, "");
  truncateSync(huge, 1_048_577);
  expect(getProblem(huge)).toBe("has more than 1048576 bytes; is it the right file?");
});
