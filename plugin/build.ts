// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the kubectl plugin in dist/plugin/: a bundle, and the two programs that kubectl looks for in the PATH. With
// `--gitops` it has `push`, which the GitOps image alone needs. tools/release makes the executables and krew's archives.
// Invariant: reads only the checkout and node_modules, writes only the output folder.

import { chmodSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "../tools/bundle.ts";

const ROOT = join(import.meta.dirname, "..");
const PROGRAM = "kubectl-violations";
/** `kubectl plugin list` takes every file whose name begins with kubectl- for a plugin. */
const BUNDLE = "violations";
const START = "start.cjs";

/** undici's minimum, see engines in package.json. */
const MIN_NODE = "22.19";

/**
 * The text of a program in the PATH. It finds its files next to itself, not next to a link to it (krew makes one). The
 * compile cache is kept where only the user can write, for a quicker start.
 */
function launcher(firstArgument: string): string {
  return `#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
if ! command -v node >/dev/null; then
  echo "error: kubectl violations needs Node.js ${MIN_NODE} or newer as \\"node\\" in the PATH." >&2
  exit 2
fi
caches="\${XDG_CACHE_HOME:-\${HOME:+$HOME/.cache}}"
cache="$caches/${PROGRAM}"
# Node loops forever over a directory that it can't create.
if [ -n "$caches" ] && { [ -d "$cache" ] || mkdir -p -m 700 "$cache" 2>/dev/null; }; then
  export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-$cache}"
fi
self="$(readlink -f "$0")" || exit 2
exec node "\${self%/*}/${START}" ${firstArgument}"$@"
`;
}

/** Checks the version before the bundle is parsed: an old Node would fail with a syntax error. Plain ES5. */
export function starter(): string {
  const [major, minor] = MIN_NODE.split(".");
  return `// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors
var version = process.versions.node.split(".");
if (+version[0] < ${major} || (+version[0] === ${major} && +version[1] < ${minor})) {
  console.error(
    "error: kubectl violations needs Node.js ${MIN_NODE} or newer, but \\"node\\" is " + process.versions.node + " (" +
      process.execPath + "): install a newer one, or put it first in the PATH."
  );
  process.exit(2);
}
require("./${BUNDLE}.cjs");
`;
}

/** Builds the plugin in `outDir`, for the GitOps image with `push`; returns the files. */
export async function buildPlugin(outDir: string, { isGitOps = false } = {}): Promise<string[]> {
  const entry = isGitOps ? "plugin/src/gitops/main.ts" : "plugin/src/main.ts";
  const files = await bundle({ [BUNDLE]: entry }, outDir, import.meta.dirname);
  const start = join(outDir, START);
  writeFileSync(start, starter());
  files.push(start);
  const programs = { [PROGRAM]: "", "kubectl_complete-violations": "__complete " };
  for (const [name, firstArgument] of Object.entries(programs)) {
    const path = join(outDir, name);
    writeFileSync(path, launcher(firstArgument));
    chmodSync(path, 0o755);
    files.push(path);
  }
  return files;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: join(ROOT, "dist/plugin") },
      gitops: { type: "boolean", default: false },
    },
  });
  const files = await buildPlugin(values.out, { isGitOps: values.gitops });
  for (const file of files) process.stdout.write(`${relative(process.cwd(), file)}\n`);
}
