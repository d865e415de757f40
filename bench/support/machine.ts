// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Machine of the results.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { getPartSource } from "../../tools/parts/catalog.ts";
import { goVersion } from "../../tools/parts/go-build.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Machine and versions, for the head of the results. */
export function readMachineFacts(): [name: string, value: string][] {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`;
  return [
    [
      "machine",
      `${cpus().length} × ${cpu?.model.trim() ?? "unknown"}, ${memory}, ${platform()} ${release()} ${arch()}`,
    ],
    ["load before the run", loadavg()[0]?.toFixed(1) ?? ""],
    ["Node.js", process.versions.node],
    ["@grpc/grpc-js", readPackageVersion("@grpc/grpc-js")],
    ["Go, grpc-go", `${goVersion()?.replace(/^go/, "") ?? "none"}, ${readGrpcGoVersion()}`],
    ["kube-apiserver, etcd", `${getPartSource("kube-apiserver").version}, ${getPartSource("etcd").version}`],
    ["commit", commit()],
  ];
}

function readPackageVersion(name: string): string {
  const text = readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function readGrpcGoVersion(): string {
  const mod = readFileSync(join(ROOT, "bench/source/go.mod"), "utf8");
  return /google\.golang\.org\/grpc (v\S+)/.exec(mod)?.[1] ?? "unknown";
}

function commit(): string {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  const head = git("rev-parse", "--short", "HEAD");
  if (head.status !== 0) return "unknown";
  return head.stdout.trim() + (git("status", "--porcelain", "-uno").stdout === "" ? "" : ", with changes");
}
