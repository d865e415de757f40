// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Packs the plugin's executables into one archive per platform in dist/release, and writes krew's manifest for them.
// Reads dist/plugin-executables/OS-ARCH, as tools/release/executable.ts fills it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { stringify } from "yaml";
import { packArchive } from "./archive.ts";
import { RELEASE_DIR, type ReleaseFacts, ROOT, releaseFacts } from "./facts.ts";

export const EXECUTABLES_DIR = join(ROOT, "dist/plugin-executables");
/** krew names it so: `kubectl kubearmor-violations`. */
const PLUGIN = "kubearmor-violations";
const EXECUTABLE = "kubectl-kubearmor_violations";
/** Beside it, for `kubectl violations` where its folder is in the PATH. */
const ALIAS = "kubectl-violations";
const COMPLETION = "kubectl_complete-kubearmor_violations";

export interface PluginArchive {
  os: string;
  arch: string;
  file: string;
  sha256: string;
}

export function getExecutableName(os: string): string {
  return os === "windows" ? `${EXECUTABLE}.exe` : EXECUTABLE;
}

/** Packs one platform. The same files give the same archive. Windows' .zip needs `zip` in the PATH. */
export function packPlatform(platform: string, version: string, executablesDir: string, outDir: string): PluginArchive {
  const [os = "", arch = ""] = platform.split("-");
  const work = mkdtempSync(join(tmpdir(), "pvo-plugin-"));
  try {
    const executable = getExecutableName(os);
    cpSync(join(executablesDir, platform, executable), join(work, executable));
    chmodSync(join(work, executable), 0o755);
    cpSync(join(ROOT, "LICENSE"), join(work, "LICENSE"));
    for (const [name, text] of Object.entries(renderScripts(os))) {
      writeFileSync(join(work, name), text);
      chmodSync(join(work, name), 0o755);
    }
    mkdirSync(outDir, { recursive: true });
    const file = join(outDir, `${PLUGIN}-v${version}-${platform}.${os === "windows" ? "zip" : "tar.gz"}`);
    rmSync(file, { force: true });
    pack(work, file);
    return { os, arch, file, sha256: createHash("sha256").update(readFileSync(file)).digest("hex") };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function renderScripts(os: string): Record<string, string> {
  if (os === "windows") return { [`${ALIAS}.cmd`]: `@"%~dp0${EXECUTABLE}.exe" %*\r\n` };
  const shell = (args: string) => `#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/${EXECUTABLE}" ${args}"$@"\n`;
  return {
    [ALIAS]: shell(""),
    [COMPLETION]: shell("__complete "),
    "kubectl_complete-violations": shell("__complete "),
  };
}

function pack(folder: string, file: string): void {
  if (file.endsWith(".zip")) {
    execFileSync("touch", ["-d", "@315532800", ...readdirSync(folder).map((name) => join(folder, name))]);
    execFileSync("zip", ["-X", "-q", "-r", file, ...readdirSync(folder).sort()], { cwd: folder });
    return;
  }
  packArchive(folder, file);
}

/** krew's manifest: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ */
export function renderKrewManifest(
  archives: readonly PluginArchive[],
  { version, repositoryUrl, downloadUrl }: ReleaseFacts,
): string {
  return stringify(
    {
      apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
      kind: "Plugin",
      metadata: { name: PLUGIN },
      spec: {
        version: `v${version}`,
        homepage: repositoryUrl,
        shortDescription: "See, explain and gate KubeArmor policy violations",
        description:
          "Shows the PolicyViolationReports that policy-violation-operator keeps from KubeArmor's alerts:\n" +
          "a table, worst first; one violation with what to do next; whether a policy can go from audit to\n" +
          "block; a gate for pipelines; the state as YAML for Git; and one page for auditors.\n",
        caveats:
          "Needs the CRDs of policy-violation-operator in the cluster.\n" +
          "For the short name `kubectl violations`, link it into the PATH:\n" +
          "  ln -s ~/.krew/bin/kubectl-kubearmor_violations ~/.krew/bin/kubectl-violations\n",
        platforms: archives.map(({ os, arch, file, sha256 }) => ({
          selector: { matchLabels: { os, arch } },
          uri: `${downloadUrl}/${basename(file)}`,
          sha256,
          bin: getExecutableName(os),
        })),
      },
    },
    { lineWidth: 0 },
  );
}

if (import.meta.main) {
  const facts = releaseFacts();
  const platforms = readdirSync(EXECUTABLES_DIR).sort();
  const archives = platforms.map((platform) => packPlatform(platform, facts.version, EXECUTABLES_DIR, RELEASE_DIR));
  writeFileSync(join(RELEASE_DIR, `${PLUGIN}.yaml`), renderKrewManifest(archives, facts));
  for (const { file } of archives) console.log(file);
}
