// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Names the real parts that the tests run, and says of each which Go package it is and how it gets its version.
// Invariant: a version is written down in one place only, the go.mod of the part's module; that of a program of our own is a hash.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A control plane, and what is done with it. */
export const CLUSTER_PARTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"] as const;

/** The parts that `npm test` runs. */
export const TEST_PARTS = [...CLUSTER_PARTS, "helm"] as const;

/** The parts that a real node takes besides those of `TEST_PARTS`. */
export const NODE_PARTS = ["kube-scheduler", "kubelet", "kube-proxy", "coredns"] as const;

/** Parts of a benchmark besides those of `TEST_PARTS`: a program of our own, so it comes from a build alone. */
export const BENCH_PARTS = ["alert-source"] as const;

/** Judges alert rules and runs the dashboard's queries. A machine's own, from a package, will do too. */
export const MONITORING_PARTS = ["promtool", "prometheus"] as const;

/** Server of the stream between several processes. */
export const SCALE_PARTS = ["nats-server"] as const;

/** Programs of our own that tests run: they build in seconds, once their modules are there. */
export const OWN_PARTS = ["mtls-relay"] as const;

/** A real part, named as its binary is. */
export type PartName =
  | (typeof TEST_PARTS)[number]
  | (typeof NODE_PARTS)[number]
  | (typeof BENCH_PARTS)[number]
  | (typeof MONITORING_PARTS)[number]
  | (typeof SCALE_PARTS)[number]
  | (typeof OWN_PARTS)[number];

/** Build of a part. */
export interface PartSource {
  /** The folder of the Go module that pins it. */
  readonly moduleDir: string;
  /** Its main package. */
  readonly goPackage: string;
  /** The version that the module pins, as in `v1.36.3`; of a program of our own, a hash of its source. */
  readonly version: string;
  /** The folder of its binary below the cache, as in `k8s-v1.36.3`. */
  readonly cacheFolder: string;
  /** Values for `-X`, so that clients and helm read a real version. */
  readonly linkerValues: readonly string[];
  /** Go build tags. */
  readonly tags?: readonly string[];
}

/** Returns the build of a part. */
export function getPartSource(name: PartName): PartSource {
  if (name === "etcd") return etcd();
  if (name === "helm") return helm();
  if (name === "coredns") return coredns();
  if (name === "nats-server") return natsServer();
  if (name === "promtool" || name === "prometheus") return prometheus(name);
  if (name === "alert-source") return ownProgram(name, join(import.meta.dirname, "../../bench/source"));
  if (name === "mtls-relay") return ownProgram(name, locateModule(name));
  return kubernetes(name);
}

function etcd(): PartSource {
  const goPackage = "go.etcd.io/etcd/server/v3";
  const version = readPinnedVersion("etcd", goPackage);
  return { moduleDir: locateModule("etcd"), goPackage, version, cacheFolder: `etcd-${version}`, linkerValues: [] };
}

function helm(): PartSource {
  const version = readPinnedVersion("helm", "helm.sh/helm/v4");
  return {
    moduleDir: locateModule("helm"),
    goPackage: "helm.sh/helm/v4/cmd/helm",
    version,
    cacheFolder: `helm-${version}`,
    linkerValues: [`helm.sh/helm/v4/internal/version.version=${version}`],
  };
}

function coredns(): PartSource {
  const goPackage = "github.com/coredns/coredns";
  const version = readPinnedVersion("coredns", goPackage);
  return {
    moduleDir: locateModule("coredns"),
    goPackage,
    version,
    cacheFolder: `coredns-${version}`,
    linkerValues: [],
  };
}

function natsServer(): PartSource {
  const goPackage = "github.com/nats-io/nats-server/v2";
  const version = readPinnedVersion("nats", goPackage);
  return { moduleDir: locateModule("nats"), goPackage, version, cacheFolder: `nats-${version}`, linkerValues: [] };
}

function prometheus(name: "promtool" | "prometheus"): PartSource {
  const version = readPinnedVersion("prometheus", "github.com/prometheus/prometheus");
  return {
    moduleDir: locateModule("prometheus"),
    goPackage: `github.com/prometheus/prometheus/cmd/${name}`,
    version,
    cacheFolder: `prometheus-${version}`,
    linkerValues: [`github.com/prometheus/common/version.Version=${version.slice(1)}`],
    // Without the clients of a dozen clouds, which no test asks.
    tags: ["remove_all_sd"],
  };
}

/** Its version is what it is made of. */
function ownProgram(name: PartName, folder: string): PartSource {
  const hash = createHash("sha256");
  for (const file of readdirSync(folder).sort()) hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
  const version = hash.digest("hex").slice(0, 12);
  return { moduleDir: folder, goPackage: ".", version, cacheFolder: `${name}-${version}`, linkerValues: [] };
}

function kubernetes(name: PartName): PartSource {
  const version = readPinnedVersion("kubernetes", "k8s.io/kubernetes");
  const [major, minor] = version.slice(1).split(".");
  return {
    moduleDir: locateModule("kubernetes"),
    goPackage: `k8s.io/kubernetes/cmd/${name}`,
    version,
    cacheFolder: `k8s-${version}`,
    // The server's own version and the one in every client's User-Agent are two variables.
    linkerValues: ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((at) => [
      `${at}.gitVersion=${version}`,
      `${at}.gitMajor=${major}`,
      `${at}.gitMinor=${minor}`,
    ]),
  };
}

function locateModule(module: string): string {
  return join(import.meta.dirname, module);
}

function readPinnedVersion(module: string, path: string): string {
  const file = join(locateModule(module), "go.mod");
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [first, second, third] = line.trim().split(/\s+/);
    if (first === path && second?.startsWith("v")) return second;
    if (first === "require" && second === path && third !== undefined) return third;
  }
  throw new Error(`${file} does not require ${path}`);
}
