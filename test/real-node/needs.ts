// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Says what a machine lacks to run a real node, and how to get it.
// Invariant: it looks only; nothing is installed or changed.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { NODE_PARTS, TEST_PARTS } from "../../tools/parts/catalog.ts";
import { getPaths, locateParts } from "../../tools/parts/parts.ts";

/** The PATH of the node's processes: a root shell's may lack the places of iptables and runc. */
export const NODE_PATH = [process.env["PATH"] ?? "", "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);

/** Folders of the CNI plugins in Debian and in their own releases. */
const CNI_DIRS = ["/usr/lib/cni", "/opt/cni/bin"];
const CNI_PLUGINS = ["bridge", "host-local", "loopback", "portmap"];

/** The Debian package of each program. */
const PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["containerd", "containerd"],
  ["ctr", "containerd"],
  ["containerd-shim-runc-v2", "containerd"],
  ["runc", "runc"],
  ["iptables", "iptables"],
  ["ip", "iproute2"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
  ["mount", "mount"],
  ["tar", "tar"],
];

const CAP_SYS_ADMIN_BIT = 21n;

/** The folder that holds all CNI plugins which a node uses; undefined where there is none. */
export function findCniDir(): string | undefined {
  return CNI_DIRS.find((dir) => CNI_PLUGINS.every((plugin) => isProgram(join(dir, plugin))));
}

/** Obstacles of the machine itself to a node, the parts aside; empty when nothing does. */
export function findMachineObstacles(): string[] {
  return [...findNamespaceObstacles(), ...findMissingPrograms()];
}

/** Reason for which no node can run here and what to do about it; undefined when one can. */
export function findNodeObstacle(): string | undefined {
  const why = findMachineObstacles();
  const { missing } = getPaths(locateParts([...TEST_PARTS, ...NODE_PARTS]));
  if (missing !== undefined) why.push(`${missing} (those of a node: \`npm run parts -- --node\`)`);
  return why.length === 0 ? undefined : why.join("; ");
}

/** Obstacles that only another user or machine removes. */
function findNamespaceObstacles(): string[] {
  if (process.platform !== "linux") return [`a node needs Linux, and this is ${process.platform}`];
  if (process.getuid?.() !== 0) return ["a node needs root: run it as root, for example with sudo"];
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  if ((BigInt(`0x${effective}`) & (1n << CAP_SYS_ADMIN_BIT)) === 0n) {
    return ["a node needs CAP_SYS_ADMIN, which this root has not (in a container: run it privileged)"];
  }
  if (!existsSync("/sys/fs/cgroup/memory/cgroup.procs")) {
    return ["a node needs cgroup version 1, and this machine has version 2: that is not supported yet"];
  }
  return [];
}

function findMissingPrograms(): string[] {
  const missing = PROGRAMS.filter(
    ([program]) => !NODE_PATH.split(delimiter).some((dir) => isProgram(join(dir, program))),
  );
  const names = missing.map(([program]) => program);
  const packages = new Set(missing.map(([, debianPackage]) => debianPackage));
  if (findCniDir() === undefined) {
    names.push("the CNI plugins");
    packages.add("containernetworking-plugins");
  }
  const why: string[] = [];
  if (names.length > 0) {
    const install = `apt-get install -y --no-install-recommends ${[...packages].join(" ")}`;
    why.push(`not installed: ${names.join(", ")} (on Debian and Ubuntu: ${install})`);
  }
  if (spawnSync("go", ["version"]).status !== 0) why.push("no `go` on the PATH to build the pause image with");
  return why;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
