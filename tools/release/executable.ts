// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the kubectl plugin as one executable for the machine that runs this, with the Node that runs this inside:
// dist/plugin-executables/OS-ARCH/kubectl-kubearmor_violations. https://nodejs.org/api/single-executable-applications.html

import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin } from "../../plugin/build.ts";
import { ROOT } from "./facts.ts";
import { EXECUTABLES_DIR, getExecutableName } from "./plugin.ts";

/** Node's own names of systems and processors, as krew and Go name them. */
const OS: Readonly<Record<string, string>> = { linux: "linux", darwin: "darwin", win32: "windows" };
const ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
/** Marks where Node looks for the program; fixed by Node. */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

const os = OS[process.platform];
const arch = ARCH[process.arch];
if (os === undefined || arch === undefined) {
  console.error(`error: no plugin is built for ${process.platform} ${process.arch}`);
  process.exit(2);
}
const work = join(ROOT, "dist/plugin-sea");
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
await buildPlugin(work);
const config = join(work, "sea.json");
const blob = join(work, "sea.blob");
writeFileSync(
  config,
  JSON.stringify({
    main: join(work, "violations.cjs"),
    output: blob,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // NODE_OPTIONS of a user is meant for another Node: an editor's debugger sets it in its terminal.
    execArgvExtension: "none",
  }),
);
execFileSync(process.execPath, ["--experimental-sea-config", config], { stdio: "inherit" });

const outDir = join(EXECUTABLES_DIR, `${os}-${arch}`);
mkdirSync(outDir, { recursive: true });
const executable = join(outDir, getExecutableName(os));
rmSync(executable, { force: true });
copyFileSync(process.execPath, executable);
chmodSync(executable, 0o755);
// A changed executable has no valid signature; macOS runs none without one.
if (os === "darwin") execFileSync("codesign", ["--remove-signature", executable], { stdio: "inherit" });
const segment = os === "darwin" ? ["--macho-segment-name", "NODE_SEA"] : [];
const postject = join(ROOT, "node_modules/postject/dist/cli.js");
execFileSync(process.execPath, [postject, executable, "NODE_SEA_BLOB", blob, "--sentinel-fuse", FUSE, ...segment], {
  stdio: "inherit",
});
if (os === "darwin") execFileSync("codesign", ["--sign", "-", executable], { stdio: "inherit" });
execFileSync(executable, ["--help"], { stdio: "ignore" });
console.log(executable);
