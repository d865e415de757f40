// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyAlert } from "../../../../src/api/alert.ts";
import { getVerb } from "../../../../src/ingest/violation/verb.ts";
import { generateHostileText } from "../../../support/alert-generators.ts";
import { checkAll } from "../../../support/gen.ts";

function verb(
  Operation: string,
  Data: string,
  more: { Resource?: string; Action?: string; Enforcer?: string } = {},
): string {
  return getVerb({ ...emptyAlert(), Operation, Data, ...more });
}

describe("the verb of a preset without data", () => {
  it.each([
    ["File", "PRESET-ProtectEnvPreset", "open"],
    ["File", "PRESET-ProtectProcPreset", "open"],
    ["File", "PRESET-AnonMapExecutionPreset", "mmap-exec"],
    ["File", "BPFLSM", ""],
    ["Process", "PRESET-ExecPreset", "exec"],
    ["Process", "PRESET-FilelessExecutionPreset", "exec"],
  ])("of operation %s and enforcer %s is '%s'", (operation, Enforcer, expected) => {
    expect(verb(operation, "", { Enforcer })).toBe(expected);
  });

  it("is that of its data where there is any", () => {
    expect(verb("File", "lsm=FILE_UNLINK", { Enforcer: "PRESET-ProtectEnvPreset" })).toBe("unlink");
  });
});

describe("the verb is the same for every enforcer", () => {
  it.each([
    ["exec", "Process", ["syscall=SYS_EXECVE", "syscall=SYS_EXECVEAT fd=-100 flag=", "lsm=SECURITY_BPRM_CHECK"]],
    ["open", "File", ["lsm=FILE_OPEN", "syscall=SYS_OPEN flags=O_RDONLY", "syscall=SYS_OPENAT fd=3 flags=O_WRONLY"]],
    ["write", "File", ["lsm=FILE_PERMISSION", "syscall=SYS_WRITE"]],
    ["unlink", "File", ["lsm=FILE_UNLINK", "syscall=SYS_UNLINK", "syscall=SYS_UNLINKAT flags="]],
    ["rmdir", "File", ["lsm=FILE_RMDIR", "syscall=SYS_RMDIR", "syscall=SYS_UNLINKAT flags=AT_REMOVEDIR"]],
    ["mkdir", "File", ["lsm=FILE_MKDIR", "syscall=SYS_MKDIRAT"]],
    ["mknod", "File", ["lsm=FILE_MKNOD", "syscall=SYS_MKNOD", "syscall=SYS_MKNODAT"]],
    ["rename", "File", ["lsm=FILE_RENAME", "syscall=SYS_RENAME", "syscall=SYS_RENAMEAT2"]],
    ["link", "File", ["lsm=FILE_LINK", "syscall=SYS_LINKAT"]],
    ["symlink", "File", ["lsm=FILE_SYMLINK", "syscall=SYS_SYMLINKAT"]],
    ["chmod", "File", ["lsm=FILE_CHMOD", "syscall=SYS_FCHMODAT", "syscall=SYS_FCHMOD"]],
    ["chown", "File", ["lsm=FILE_CHOWN", "syscall=SYS_CHOWN userid=0 group=0", "syscall=SYS_FCHOWNAT userid=0"]],
    ["truncate", "File", ["lsm=FILE_TRUNCATE", "syscall=SYS_FTRUNCATE"]],
    ["socket", "Network", ["lsm=SOCKET_CREATE type=SOCK_RAW", "syscall=SYS_SOCKET"]],
    ["connect", "Network", ["lsm=SOCKET_CONNECT", "syscall=SYS_CONNECT fd=3", "kprobe=tcp_connect domain=AF_INET"]],
    ["accept", "Network", ["lsm=SOCKET_ACCEPT", "syscall=SYS_ACCEPT fd=3", "kprobe=tcp_accept domain=AF_INET"]],
    [
      "resolve",
      "Network",
      [
        "lsm=SOCKET_SENDMSG domain=evil.test",
        "kfunc=UDP_SENDSKB domain=evil.test qtype=A",
        "kfunc=UDP_SENDSKB domain=af_inet.evil.test qtype=A",
      ],
    ],
    ["send", "Network", ["lsm=SOCKET_SENDMSG domain=", "syscall=SYS_SENDTO", "syscall=SYS_SENDMMSG"]],
    ["bind", "Network", ["syscall=SYS_BIND fd=3", "lsm=SOCKET_BIND"]],
    ["listen", "Network", ["syscall=SYS_LISTEN fd=3", "lsm=SOCKET_LISTEN"]],
    ["capable", "Capabilities", ["lsm=CAPABLE CAP_NET_RAW", ""]],
    ["umount", "Syscall", ["syscall=SYS_UMOUNT2 target=/mnt flag=0", "syscall=SYS_UMOUNT"]],
  ])("%s", (expected, operation, data) => {
    for (const each of data) expect([each, verb(operation, each)]).toEqual([each, expected]);
  });
});

describe("the verb", () => {
  it.each([
    ["setuid", "Syscall", "syscall=SYS_SETUID userid=0"],
    ["setgid", "Syscall", "syscall=SYS_SETGID userid=0"],
    ["mount", "Syscall", "syscall=SYS_MOUNT source=/dev/sda target=/mnt data=syscall=SYS_PTRACE"],
    ["ptrace", "Process", "syscall=SYS_PTRACE request=PTRACE_ATTACH pid=1 process=/bin/x"],
    ["unshare", "Syscall", "syscall=SYS_UNSHARE"],
    // KubeArmor on arm64 names these calls by the numbers of others.
    ["ptrace", "Process", "syscall=SYS_NANOSLEEP request=PTRACE_ATTACH pid=1 process=/bin/x"],
    ["mount", "Syscall", "syscall=SYS_GETRUSAGE source=proc target=/mnt filesystem=proc mountflag=0 data="],
    ["umount", "Syscall", "syscall=SYS_UMASK target=/mnt flag=2"],
    ["nanosleep", "Syscall", "syscall=SYS_NANOSLEEP"],
    ["umask", "Syscall", "syscall=SYS_UMASK x=target=/mnt"],
    ["mmap-exec", "File", "PROT_READ|PROT_EXEC,PROT_EXEC,MAP_PRIVATE|MAP_ANONYMOUS"],
    ["attach", "Device", "Class=8 SubClass=6 Protocol=80 Level=1 SysPath=/sys/bus"],
    ["syscall-334", "Syscall", "syscall=334"],
    ["exec", "Process", ""],
    ["", "File", ""],
    ["", "File", "flags=O_RDONLY"],
    ["", "Network", "domain=AF_INET"],
    ["open", "File", "flags=O_RDONLY fd=3 syscall=SYS_OPENAT"],
    ["open", "File", "SYSCALL=sys_openat"],
  ])("is %j for %s %j", (expected, operation, data) => {
    expect(verb(operation, data)).toBe(expected);
  });

  it("is the direction for the firewall, and says when a device was taken away", () => {
    expect(verb("NetworkFirewall", "Protocol=TCP", { Resource: "INGRESS" })).toBe("ingress");
    expect(verb("NetworkFirewall", "Protocol=TCP", { Resource: "EGRESS" })).toBe("egress");
    expect(verb("NetworkFirewall", "Protocol=TCP", { Resource: "x" })).toBe("");
    expect(verb("Device", "Class=8", { Action: "Remove" })).toBe("detach");
  });

  it("is a short plain word for any data", () => {
    checkAll(
      1000,
      [fc.constantFrom("Process", "File", "Network", "Syscall", ""), generateHostileText()],
      (op, text) => {
        for (const data of [text, `syscall=${text}`, `lsm=${text}`, `kprobe=${text}`]) {
          expect(verb(op, data)).toMatch(/^[a-z0-9_-]{0,32}$/);
        }
      },
    );
  });
});
