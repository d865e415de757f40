// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Folders for files of tests.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const created: string[] = [];

// Registered at the import, so that it runs after every hook of the test file.
afterAll(() => {
  for (const folder of created.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Makes a new folder that is removed after the tests of the file. */
export function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "pvo-test-"));
  created.push(folder);
  return folder;
}
