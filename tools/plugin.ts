// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes the kubectl plugin in dist/plugin/: a bundle, and the two programs that kubectl looks for in the PATH. With
// `--archive-url URL`, where the archive will be published, also the archive and krew's manifest beside it, in dist/.
// Invariant: it reads only the checkout and node_modules, and writes only the output folder.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "./bundle.ts";

const ROOT = join(import.meta.dirname, "..");
const BUNDLE = "kubectl-violations";

/**
 * A link to a program (krew makes one) must find the bundle beside the program, not beside the link. What Node made of
 * the bundle is kept where nobody else can write, for a quicker start.
 */
function launcher(firstArgument: string): string {
  return `#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
if ! command -v node >/dev/null; then
  echo "error: kubectl violations needs Node.js >= 22.19 as \\"node\\" in the PATH" >&2
  exit 2
fi
caches="\${XDG_CACHE_HOME:-\${HOME:+$HOME/.cache}}"
cache="$caches/${BUNDLE}"
# Node itself may loop for ever over a directory that can't be made.
if [ -n "$caches" ] && { [ -d "$cache" ] || mkdir -p -m 700 "$cache" 2>/dev/null; }; then
  export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-$cache}"
fi
exec node "$(dirname "$(readlink -f "$0")")/${BUNDLE}.cjs" ${firstArgument}"$@"
`;
}

/** Makes the plugin in `outDir`; returns the files. */
export async function buildPlugin(outDir: string): Promise<string[]> {
  const files = await bundle({ [BUNDLE]: "plugin/src/main.ts" }, outDir);
  const programs = { [BUNDLE]: "", "kubectl_complete-violations": "__complete " };
  for (const [name, firstArgument] of Object.entries(programs)) {
    const path = join(outDir, name);
    writeFileSync(path, launcher(firstArgument));
    chmodSync(path, 0o755);
    files.push(path);
  }
  return files;
}

/** Packs the plugin and fills in krew's manifest for an archive that will be at `url`; returns both files. */
export function archivePlugin(pluginDir: string, outDir: string, url: string): string[] {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const archive = join(outDir, `${BUNDLE}-${version}.tar.gz`);
  // The same files give the same archive, and so the same hash.
  const same = [
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--use-compress-program=gzip -n",
  ];
  const unpacked = ["--exclude=*.map", "-C", pluginDir, "."];
  execFileSync("tar", [...same, "-cf", archive, ...unpacked]);
  const hash = createHash("sha256").update(readFileSync(archive)).digest("hex");
  const manifest = readFileSync(join(ROOT, "plugin/krew.yaml"), "utf8");
  const filled = { VERSION: version, URL: url, SHA256: hash };
  const text = Object.entries(filled).reduce(
    (all, [name, value]) => all.replaceAll(`\${${name}}`, value),
    manifest,
  );
  const file = join(outDir, "krew.yaml");
  writeFileSync(file, text);
  return [archive, file];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: join(ROOT, "dist/plugin") },
      "archive-url": { type: "string" },
    },
  });
  const files = await buildPlugin(values.out);
  const url = values["archive-url"];
  if (url !== undefined) files.push(...archivePlugin(values.out, join(values.out, ".."), url));
  for (const file of files) process.stdout.write(`${relative(process.cwd(), file)}\n`);
}
