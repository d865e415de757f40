// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the SBOMs (CycloneDX) of the operator and of the kubectl plugin to dist/release.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.ts";
import { RELEASE_DIR, ROOT } from "./facts.ts";

const PROGRAMS = [
  { name: "policy-violation-operator", entry: "src/main.ts", folder: ROOT },
  { name: "kubectl-violations", entry: "plugin/src/main.ts", folder: join(ROOT, "plugin") },
];

mkdirSync(RELEASE_DIR, { recursive: true });
for (const { name, entry, folder } of PROGRAMS) {
  const work = mkdtempSync(join(tmpdir(), "pvo-sbom-"));
  try {
    await bundle({ [name]: entry }, work, folder);
    const file = join(RELEASE_DIR, `${name}.cdx.json`);
    copyFileSync(join(work, "sbom.cdx.json"), file);
    console.log(file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
