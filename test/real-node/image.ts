// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes a container image of one static program, with no Docker and no registry.
// Invariant: the same program gives the same bytes.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Program of the sandboxes of all pods. */
export const PAUSE_IMAGE = "localhost/pause:1";

/** An image that does nothing until its pod is deleted: use it with `imagePullPolicy: Never`. */
export const IDLE_IMAGE = "localhost/idle:1";

/** Builds the program of both images and writes them as an archive that `ctr images import` takes. */
export function writeIdleImages(archive: string): void {
  mkdirSync(dirname(archive), { recursive: true });
  const dir = mkdtempSync(join(dirname(archive), ".image-"));
  try {
    mkdirSync(join(dir, "root"));
    const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
    const output = join(dir, "root/pause");
    const build = ["build", "-trimpath", "-ldflags", "-s -w", "-o", output, "."];
    runOrThrow("go", build, join(import.meta.dirname, "pause"), env);
    writeArchive(dir, ["/pause"], [PAUSE_IMAGE, IDLE_IMAGE]);
    renameSync(join(dir, "archive.tar"), archive);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Packs `dir/root` as the one layer of an image in the format of `docker save`, into `dir/archive.tar`. */
function writeArchive(dir: string, command: string[], names: string[]): void {
  packTar(dir, "layer.tar", join(dir, "root"), ["."]);
  const config = JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint: command },
    rootfs: { type: "layers", diff_ids: [`sha256:${hashSha256(readFileSync(join(dir, "layer.tar")))}`] },
  });
  const configFile = `${hashSha256(config)}.json`;
  writeFileSync(join(dir, configFile), config);
  const manifest = [{ Config: configFile, RepoTags: names, Layers: ["layer.tar"] }];
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
  packTar(dir, "archive.tar", dir, ["manifest.json", configFile, "layer.tar"]);
}

function packTar(dir: string, file: string, from: string, what: string[]): void {
  const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
  runOrThrow("tar", [...same, "-C", from, "-cf", join(dir, file), ...what], dir, process.env);
}

function runOrThrow(file: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): void {
  const { status, stderr, error } = spawnSync(file, args, { cwd, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

function hashSha256(data: Buffer | string): string {
  return createHash("sha256").update(data).digest("hex");
}
