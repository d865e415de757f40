// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes the kubectl plugin in dist/plugin/: a bundle, and the two programs that kubectl looks for in the PATH.
// Invariant: it reads only the checkout and node_modules, and writes only the output folder.

import { chmodSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "./bundle.ts";

const ROOT = join(import.meta.dirname, "..");
const BUNDLE = "kubectl-violations";

/** A link to a program (krew makes one) must find the bundle beside the program, not beside the link. */
function launcher(firstArgument: string): string {
  return `#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
if ! command -v node >/dev/null; then
  echo "error: kubectl violations needs Node.js >= 22.19 as \\"node\\" in the PATH" >&2
  exit 2
fi
exec node "$(dirname "$(readlink -f "$0")")/${BUNDLE}.cjs" ${firstArgument}"$@"
`;
}

/** Makes the plugin in `outDir`; returns the files. */
export async function buildPlugin(outDir: string): Promise<string[]> {
  const files = await bundle({ [BUNDLE]: "src/plugin/main.ts" }, outDir);
  const programs = { [BUNDLE]: "", "kubectl_complete-violations": "__complete " };
  for (const [name, firstArgument] of Object.entries(programs)) {
    const path = join(outDir, name);
    writeFileSync(path, launcher(firstArgument));
    chmodSync(path, 0o755);
    files.push(path);
  }
  return files;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: "string", default: join(ROOT, "dist/plugin") } } });
  for (const file of await buildPlugin(values.out)) {
    process.stdout.write(`${relative(process.cwd(), file)}\n`);
  }
}
