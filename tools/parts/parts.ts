// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds the real parts (etcd, kube-apiserver, …), and gets or builds those that are not there.
// Invariant: a part that can't be had has its reason; it never stops the others from being had.

import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { getPartSource, MONITORING_PARTS, type PartName, TEST_PARTS } from "./catalog.ts";
import { ENVTEST_FOLDER, ENVTEST_PARTS, fetchEnvtest } from "./envtest.ts";
import { buildPart, formatElapsed, goVersion, type OnProgress } from "./go-build.ts";
import { withLock } from "./lock.ts";

/** Path and origin of a part, or the reason for which there is none. */
export type Part = { path: string; from: "assets" | "cache" | "machine" | "archive" | "build" } | { missing: string };

/** The parts that were asked for, by name. */
export type Parts = Partial<Record<PartName, Part>>;

export interface EnsureOptions {
  /** Wanted parts; default `TEST_PARTS`. */
  readonly names?: readonly PartName[];
  /** Takes lines for a person about what is going on; default: none. */
  readonly onProgress?: OnProgress;
}

/** Finds the parts, without getting or building anything. Takes a few milliseconds. */
export function locateParts(names: readonly PartName[] = TEST_PARTS): Parts {
  return Object.fromEntries(names.map((name) => [name, locate(name)]));
}

/**
 * Makes sure that the parts are there: looks in `KUBEBUILDER_ASSETS` and in the cache, then tries envtest's archive,
 * then builds with `go`. From nothing it takes 10 to 15 minutes on two cores. Safe to interrupt and to run twice at a
 * time. Never rejects for a part that can't be had: its entry says why.
 */
export async function ensureParts(options: EnsureOptions = {}): Promise<Parts> {
  const { names = TEST_PARTS, onProgress = () => undefined } = options;
  const parts = locateParts(names);
  const isMissing = (name: PartName) => parts[name] !== undefined && "missing" in parts[name];
  const onWaiting = (pid: number) => onProgress(`process ${pid} is already getting parts: waiting for it`);
  let triesEnvtest = true;
  for (const name of names.filter(isMissing)) {
    await withLock(lockPath(name), onWaiting, async () => {
      // Another process may have got them while this one waited.
      for (const other of names.filter(isMissing)) parts[other] = locate(other);
      if (triesEnvtest && isMissing(name) && ENVTEST_PARTS.includes(name)) {
        triesEnvtest = false;
        await tryEnvtest(parts, onProgress);
      }
      if (isMissing(name)) parts[name] = await build(name, onProgress);
    });
  }
  return parts;
}

/** The path of every part in `parts`, or one text that says which are missing and why. */
export function getPaths(parts: Parts): { paths: Partial<Record<PartName, string>>; missing?: string } {
  const paths: Partial<Record<PartName, string>> = {};
  const namesByReason = new Map<string, PartName[]>();
  for (const [name, part] of Object.entries(parts) as [PartName, Part][]) {
    if ("path" in part) paths[name] = part.path;
    else namesByReason.set(part.missing, [...(namesByReason.get(part.missing) ?? []), name]);
  }
  if (namesByReason.size === 0) return { paths };
  const missing = [...namesByReason].map(([reason, names]) => `${names.join(", ")}: ${reason}`);
  return { paths, missing: missing.join("; ") };
}

function cacheDir(): string {
  const cache = process.env["PVO_CACHE"] || join(homedir(), ".cache/policy-violation-operator");
  return join(cache, "parts");
}

/** A process that wants few parts does not wait for one that wants all. */
function lockPath(name: PartName): string {
  return join(cacheDir(), ENVTEST_PARTS.includes(name) ? "lock-envtest" : `lock-${name}`);
}

/** Path to which a build puts a part. */
function cachePath(name: PartName): string {
  return join(cacheDir(), getPartSource(name).cacheFolder, name);
}

function locate(name: PartName): Part {
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets) {
    const path = join(assets, name);
    if (isProgram(path)) return { path, from: "assets" };
  }
  const built = cachePath(name);
  if (isProgram(built)) return { path: built, from: "cache" };
  const fetched = join(cacheDir(), ENVTEST_FOLDER, name);
  if (ENVTEST_PARTS.includes(name) && isProgram(fetched)) return { path: fetched, from: "cache" };
  if (MONITORING_PARTS.some((part) => part === name)) {
    const installed = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
    const path = installed.find((candidate) => candidate.startsWith("/") && isProgram(candidate));
    if (path !== undefined) return { path, from: "machine" };
  }
  return { missing: "not there; `npm run parts` gets it" };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

async function tryEnvtest(parts: Parts, onProgress: OnProgress): Promise<void> {
  onProgress(`trying the archive that envtest publishes (${ENVTEST_FOLDER})`);
  try {
    await fetchEnvtest(join(cacheDir(), ENVTEST_FOLDER));
  } catch (error) {
    onProgress(`not to be had: ${(error as Error).message}`);
    return;
  }
  for (const name of ENVTEST_PARTS) {
    const found = locate(name);
    if (name in parts && "path" in found) parts[name] = { ...found, from: "archive" };
  }
}

async function build(name: PartName, onProgress: OnProgress): Promise<Part> {
  const version = goVersion();
  if (version === undefined) {
    return { missing: "no `go` on the PATH to build it with, and KUBEBUILDER_ASSETS has none" };
  }
  const source = getPartSource(name);
  const path = cachePath(name);
  const startedMs = Date.now();
  onProgress(`${name}: building ${source.goPackage} ${source.version} with ${version}`);
  try {
    await buildPart(name, source, path, onProgress);
  } catch (error) {
    onProgress(`${name}: failed after ${formatElapsed(startedMs)}`);
    return { missing: (error as Error).message };
  }
  onProgress(`${name}: built in ${formatElapsed(startedMs)}`);
  return { path, from: "build" };
}
