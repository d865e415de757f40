// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { loadFileText } from "../../../src/config/file.ts";
import { createFolder } from "../../support/folder.ts";

let folder: string;
beforeAll(() => void (folder = createFolder()));

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
