// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Packs the built Headlamp plugin for a release in dist/release. Headlamp's own `package` names the folder in the archive after
// the checkout's, and Headlamp takes the folder's name for the plugin's.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packArchive } from "./archive.ts";
import { RELEASE_DIR, ROOT } from "./facts.ts";

/** Packs `headlampDir`, in which `npm run build` has run; returns the archive. It is unpacked in Headlamp's plugin folder. */
export function packHeadlampPlugin(headlampDir: string, outDir: string): string {
  const { name, version } = JSON.parse(readFileSync(join(headlampDir, "package.json"), "utf8")) as {
    name: string;
    version: string;
  };
  const work = mkdtempSync(join(tmpdir(), "pvo-headlamp-"));
  try {
    for (const path of ["dist/main.js", "package.json", "../LICENSE"]) {
      cpSync(join(headlampDir, path), join(work, name, path.split("/").at(-1) ?? ""));
    }
    mkdirSync(outDir, { recursive: true });
    const file = join(outDir, `${name}-headlamp-v${version}.tar.gz`);
    packArchive(work, file);
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(packHeadlampPlugin(join(ROOT, "headlamp"), RELEASE_DIR));
