// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finding and building parts, with a stand-in for `go`: a real build takes minutes, and every integration test is the
// proof that it works. Nothing here asks the network: helm is in no archive.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { getPartSource } from "../../../tools/parts/catalog.ts";
import { ENVTEST_PARTS, unpack } from "../../../tools/parts/envtest.ts";
import { isAlive, withLock } from "../../../tools/parts/lock.ts";
import { ensureParts, getPaths, locateParts } from "../../../tools/parts/parts.ts";
import { createFolder } from "../../support/folder.ts";

let dir: string;
let cachedHelm: string;

beforeEach(() => {
  dir = createFolder();
  vi.stubEnv("PVO_CACHE", join(dir, "cache"));
  vi.stubEnv("KUBEBUILDER_ASSETS", "");
  cachedHelm = join(dir, "cache/parts/helm-v4.3.1/helm");
});

afterEach(() => {
  vi.unstubAllEnvs();
});

function writeProgram(path: string, script: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Puts a `go` on the PATH that runs `script` for `go build`, with `$out` the file to write. */
function useGo(script: string): void {
  writeProgram(
    join(dir, "bin/go"),
    `[ "$1" = env ] && { echo go1.26.8; exit; }
    while [ "$1" != -o ]; do shift; done; out=$2
    ${script}`,
  );
  vi.stubEnv("PATH", `${join(dir, "bin")}:/usr/bin:/bin`);
}

/** The id of a process that has ended. */
function createDeadPid(): number {
  return spawnSync("true").pid;
}

test("the folder of KUBEBUILDER_ASSETS comes before the cache, for the parts that it has", () => {
  writeProgram(cachedHelm, "");
  expect(locateParts(["helm"])).toEqual({ helm: { path: cachedHelm, from: "cache" } });
  const assets = join(dir, "assets");
  const helm = writeProgram(join(assets, "helm"), "");
  vi.stubEnv("KUBEBUILDER_ASSETS", assets);
  expect(locateParts(["helm"])).toEqual({ helm: { path: helm, from: "assets" } });
  rmSync(helm);
  expect(locateParts(["helm"])).toEqual({ helm: { path: cachedHelm, from: "cache" } });
});

test("a file that can't be run is not a part", () => {
  writeProgram(cachedHelm, "");
  chmodSync(cachedHelm, 0o644);
  expect(getPaths(locateParts(["helm"]))).toEqual({ paths: {}, missing: "helm: not there; `npm run parts` gets it" });
});

test("parts that are missing for the same reason are reported together", () => {
  expect(getPaths(locateParts(["etcd", "helm"])).missing).toBe("etcd, helm: not there; `npm run parts` gets it");
});

test("a part that is not there is built once, and reported", async () => {
  useGo(`echo built >> ${join(dir, "builds")}; echo '#!/bin/sh' > "$out"; chmod +x "$out"`);
  const lines: string[] = [];
  const onProgress = (line: string) => void lines.push(line);
  expect(await ensureParts({ names: ["helm"], onProgress })).toEqual({ helm: { path: cachedHelm, from: "build" } });
  expect(await ensureParts({ names: ["helm"], onProgress })).toEqual({ helm: { path: cachedHelm, from: "cache" } });
  expect(readFileSync(join(dir, "builds"), "utf8")).toBe("built\n");
  expect(lines).toEqual([
    "helm: building helm.sh/helm/v4/cmd/helm v4.3.1 with go1.26.8",
    expect.stringMatching(/^helm: built in \d+ s$/),
  ]);
});

test("two that want the same part at the same time build it once", async () => {
  useGo(`echo built >> ${join(dir, "builds")}; sleep 1; echo '#!/bin/sh' > "$out"; chmod +x "$out"`);
  const both = await Promise.all([ensureParts({ names: ["helm"] }), ensureParts({ names: ["helm"] })]);
  expect(both.map((parts) => getPaths(parts).paths.helm)).toEqual([cachedHelm, cachedHelm]);
  expect(readFileSync(join(dir, "builds"), "utf8")).toBe("built\n");
});

test("a build that fails half-way leaves no part, and what go said is the reason", async () => {
  useGo(`echo half > "$out"; echo 'example.test/some/package' >&2; echo 'x.go:1:2: undefined: y' >&2; exit 1`);
  expect(await ensureParts({ names: ["helm"] })).toEqual({
    helm: { missing: "go build failed: x.go:1:2: undefined: y" },
  });
  expect(readdirSync(join(cachedHelm, ".."))).toEqual([]);
});

test("what a killed build left is removed by the next one", async () => {
  const left = join(cachedHelm, `../.helm.${createDeadPid()}`);
  writeProgram(left, "half");
  useGo(`echo '#!/bin/sh' > "$out"; chmod +x "$out"`);
  await ensureParts({ names: ["helm"] });
  expect(readdirSync(join(cachedHelm, ".."))).toEqual(["helm"]);
});

test("with no go at all the reason says so", async () => {
  vi.stubEnv("PATH", join(dir, "empty"));
  expect(await ensureParts({ names: ["helm"] })).toEqual({
    helm: { missing: "no `go` on the PATH to build it with, and KUBEBUILDER_ASSETS has none" },
  });
});

test("the lock of a process that is gone is taken over", async () => {
  const lock = join(dir, "lock-helm");
  writeFileSync(lock, `${createDeadPid()}\n`);
  const waits: number[] = [];
  expect(
    await withLock(
      lock,
      (pid) => waits.push(pid),
      async () => "done",
    ),
  ).toBe("done");
  expect(waits).toEqual([]);
  expect(existsSync(lock)).toBe(false);
  expect(isAlive(process.pid)).toBe(true);
});

test("an archive is unpacked only when its SHA-512 is the right one", () => {
  for (const name of ENVTEST_PARTS) writeProgram(join(dir, "root/controller-tools/envtest", name), "");
  const tarball = join(dir, "archive.tar.gz");
  spawnSync("tar", ["-czf", tarball, "-C", join(dir, "root"), "controller-tools"]);
  const archive = readFileSync(tarball);
  const target = join(dir, "target");
  expect(() => unpack(archive, "0".repeat(128), target)).toThrow(
    /^the archive's SHA-512 is [0-9a-f]{128}, not 0{128}$/,
  );
  expect(existsSync(target)).toBe(false);
  unpack(archive, createHash("sha512").update(archive).digest("hex"), target);
  expect(readdirSync(target).sort()).toEqual(["etcd", "kube-apiserver", "kubectl"]);
});

test("every staging module of Kubernetes is replaced at the version that belongs to it", () => {
  const { version, moduleDir } = getPartSource("kube-apiserver");
  const staging = readFileSync(join(moduleDir, "go.mod"), "utf8").match(/^\tk8s\.io\/\S+ => k8s\.io\/\S+ \S+$/gm) ?? [];
  expect(version).toBe("v1.36.3");
  expect(staging.length).toBeGreaterThan(25);
  for (const line of staging) expect(line).toMatch(/^\t(k8s\.io\/[\w-]+) => \1 v0\.36\.3$/);
});
