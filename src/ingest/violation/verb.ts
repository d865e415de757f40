// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verb of an alert: the action itself, in one vocabulary for all of KubeArmor's enforcers. It is read from `Data`,
// which begins with the name of a system call, an LSM hook or a probe (KubeArmor/monitor/logUpdate.go,
// KubeArmor/enforcer/bpflsm/enforcer.go, KubeArmor/presets).
// Invariant: at most MAX_VERB characters of a-z, 0-9, `_` and `-`; independent of the enforcer.

import type { Alert } from "../../api/alert.ts";
import { queriedDomain } from "./network.ts";

/** Keys of `Data` with the action as their value. */
const ACTION_KEYS: ReadonlySet<string> = new Set([
  "syscall",
  "lsm",
  "kprobe",
  "kretprobe",
  "kfunc",
  "fentry",
  "tracepoint",
]);

/** Characters of a verb. The longest system call of Linux has 28. */
const MAX_VERB = 32;
/** Tokens of `Data` that are searched: KubeArmor writes the action first; sorted copies of it do not. */
const MAX_TOKENS = 32;

/** Variants of one action under its plain name. Everything else keeps its own name. */
const SAME: ReadonlyMap<string, string> = new Map(
  Object.entries({
    execve: "exec",
    execveat: "exec",
    bprm_check: "exec",
    openat: "open",
    openat2: "open",
    creat: "create",
    permission: "write", // KubeArmor/BPF/enforcer.bpf.c: file_permission is enforced for writes only.
    pwrite64: "write",
    writev: "write",
    pwritev: "write",
    unlinkat: "unlink",
    renameat: "rename",
    renameat2: "rename",
    linkat: "link",
    symlinkat: "symlink",
    mkdirat: "mkdir",
    mknodat: "mknod",
    fchmod: "chmod",
    fchmodat: "chmod",
    fchmodat2: "chmod",
    fchown: "chown",
    fchownat: "chown",
    lchown: "chown",
    ftruncate: "truncate",
    umount2: "umount",
    tcp_connect: "connect",
    tcp_accept: "accept",
    accept4: "accept",
    sendto: "send",
    sendmsg: "send",
    sendmmsg: "send",
    udp_sendmsg: "send",
    udp_sendskb: "send",
  }),
);

/**
 * Calls that KubeArmor gives the number of x86 on arm64 as well, where its table of names has another call for the number
 * (KubeArmor/monitor/syscalls_arm64.go): that name and the first argument, which only the true call has.
 */
const ON_ARM64: ReadonlyMap<string, readonly [argument: string, verb: string]> = new Map([
  ["nanosleep", ["request=", "ptrace"]],
  ["getrusage", ["source=", "mount"]],
  ["umask", ["target=", "umount"]],
]);

/** Presets without `Data` that hook the opening of files alone (KubeArmor/BPF/protectenv.bpf.c, protectproc.bpf.c). */
const OPEN_PRESETS = /^PRESET-Protect(?:Env|Proc)Preset$/;

/** The verb where `Data` names none, from KubeArmor's source. A File alert may be anything. */
const OF_OPERATION: ReadonlyMap<string, string> = new Map([
  ["Process", "exec"],
  ["Capabilities", "capable"],
  ["Device", "attach"],
]);

/** The verb of an alert; "" where the alert does not say. */
export function getVerb({
  Operation,
  Resource,
  Data,
  Action,
  Enforcer,
}: Pick<Alert, "Operation" | "Resource" | "Data" | "Action" | "Enforcer">): string {
  if (Operation === "NetworkFirewall") return firewallVerb(Resource);
  if (Operation === "Device" && Action === "Remove") return "detach";
  const tokens = Data.split(/\s+/, MAX_TOKENS);
  for (const token of tokens) {
    const at = token.indexOf("=");
    if (at > 0 && ACTION_KEYS.has(token.slice(0, at).toLowerCase())) {
      return refine(toVerb(token.slice(at + 1)), Operation, tokens);
    }
  }
  // The preset against anonymous executable memory lists protection and mapping flags without a key.
  if (Operation === "File" && /^PROT_|,MAP_|^MAP_/.test(Data)) return "mmap-exec";
  if (Operation === "File" && OPEN_PRESETS.test(Enforcer)) return "open";
  if (Operation === "File" && Enforcer === "PRESET-AnonMapExecutionPreset") return "mmap-exec";
  return OF_OPERATION.get(Operation) ?? "";
}

/** The direction of the firewall's packet. */
function firewallVerb(resource: string): string {
  const direction = resource.trim().toLowerCase();
  return direction === "ingress" || direction === "egress" ? direction : "";
}

function refine(verb: string, operation: string, tokens: readonly string[]): string {
  if (verb === "unlink" && tokens.some((token) => /^flags=.*AT_REMOVEDIR/i.test(token))) return "rmdir";
  if (verb === "send" && queriedDomain(tokens) !== "") return "resolve";
  // BPF-LSM names the creation of a socket SOCKET_CREATE.
  if (verb === "create" && operation === "Network") return "socket";
  const [argument, onArm64] = ON_ARM64.get(verb) ?? [];
  return argument !== undefined && tokens[1]?.startsWith(argument) ? onArm64! : verb;
}

/** `SYS_UNLINKAT`, `FILE_UNLINK` and `sys_unlink` all become `unlink`. */
function toVerb(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/^(?:__x64_|__arm64_)?sys_/, "")
    .replace(/^(?:security_)?(?:(?:file|inode|path|socket)_)?/, "")
    .replace(/[^a-z0-9_-]/g, "")
    .slice(0, MAX_VERB);
  if (/^\d+$/.test(plain)) return `syscall-${plain}`.slice(0, MAX_VERB);
  return SAME.get(plain) ?? plain;
}
