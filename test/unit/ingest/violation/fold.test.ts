// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldExecutable, foldPath, foldPodName, foldWorkload } from "../../../../src/ingest/violation/fold.ts";
import { sanitize } from "../../../../src/lib/sanitize.ts";
import { generateHostileText } from "../../../support/alert-generators.ts";
import { checkAll } from "../../../support/gen.ts";
import { parseList } from "../../../support/text-table.ts";

describe("foldPath folds", () => {
  it.each([
    ["pids", "/proc/812/maps", "/proc/*/maps"],
    ["thread ids too", "/proc/812/task/813/status", "/proc/*/task/*/status"],
    ["a pid at the end", "/proc/1", "/proc/*"],
    ["descriptors", "/proc/self/fd/17", "/proc/self/fd/*"],
    ["segments of digits", "/var/spool/20231/x", "/var/spool/*/x"],
    ["sockets and pipes", "socket:[12345]", "socket:[*]"],
    ["both in a path", "/proc/9/fd/pipe:[77]", "/proc/*/fd/pipe:[*]"],
    ["uuids", "/data/0F8FAD5B-D9CB-469F-A165-70867728950E/x", "/data/*/x"],
    ["a uuid inside a name", "/data/vol-0f8fad5b-d9cb-469f-a165-70867728950e.img", "/data/vol-*.img"],
    ["container ids", "/run/c/6a9ff7cd9d2c4a2d5ebdd7a9a5bd0b4f/rootfs", "/run/c/*/rootfs"],
    ["hex inside a name", "/lib/build-24a53467e274.so", "/lib/build-*.so"],
    ["counters at the end", "/tmp/sh-thd-2512146865", "/tmp/sh-thd-*"],
    ["counters before an extension", "/var/log/session_20381.log", "/var/log/session_*.log"],
    ["go's build folders", "/tmp/go-build123456789/b001/x", "/tmp/go-build*/b001/x"],
    ["mktemp", "/tmp/tmp.Xa91bQ7z", "/tmp/tmp.*"],
    ["python's tempfile", "/tmp/tmpab12cd_8", "/tmp/tmp*"],
    ["a random ending under /tmp", "/tmp/foo.AbC123", "/tmp/foo.*"],
    ["a random ending without a digit under /tmp", "/tmp/foo.AbCdEf", "/tmp/foo.*"],
    ["a random ending under /dev/shm", "/dev/shm/sem.Ab12Cd", "/dev/shm/sem.*"],
    ["deep under /tmp", "/var/tmp/a/b/tmp.Xa91bQ7z/c", "/var/tmp/a/b/tmp.*/c"],
    ["mktemp outside /tmp", "/srv/tmp.Xa91bQ7z", "/srv/tmp.*"],
    ["python's tempfile outside /tmp", "/srv/tmpab12cd_8", "/srv/tmp*"],
    ["sed -i", "/etc/app/sedqUz3kL", "/etc/app/sed*"],
    ["the shadow utilities", "/etc/passwd.347", "/etc/passwd.*"],
    ["the shadow utilities in a host's folder", "/host/etc/gshadow.9", "/host/etc/gshadow.*"],
    ["git's objects", "/repo/.git/objects/ab/tmp_obj_Xa1b2C", "/repo/.git/objects/*/tmp_obj_*"],
    ["git's objects by hash", "/r/x.git/objects/0f/0123456789abcdef0123456789abcdef012345", "/r/x.git/objects/*/*"],
    ["rsync", "/data/.file.txt.aB3dE9", "/data/.file.txt.*"],
    ["systemd", "/run/.#state0123456789abcdef", "/run/.#state*"],
    ["names with tmp", "/data/x.json.tmp.4711", "/data/x.json.tmp.*"],
    [
      "container logs",
      `/var/log/containers/web-6c5f9d7b8-abcde_shop_web-${"0a".repeat(32)}.log`,
      "/var/log/containers/web-*_shop_web-*.log",
    ],
    [
      "pod logs",
      "/var/log/pods/shop_web-6c5f9d7b8-abcde_0f8fad5b-d9cb-469f-a165-70867728950e/app/3.log",
      "/var/log/pods/shop_web-*_*/app/*.log",
    ],
    [
      "uids of cgroups",
      "/sys/fs/cgroup/kubepods-pod7c49573e_8a55_42a7_a721_4df6373d430a.slice/memory.max",
      "/sys/fs/cgroup/kubepods-pod*.slice/memory.max",
    ],
    ["the atomic writer's folders", "/etc/secrets/..2023_11_28_19_49_07.625696123/key", "/etc/secrets/..*/key"],
    ["gcc", "/tmp/ccXl2Ba3.s", "/tmp/cc*.s"],
    ["php", "/tmp/phpQ9wErT", "/tmp/php*"],
    ["php's sessions", "/var/lib/php/sessions/sess_0123456789abcdefghijklmnop", "/var/lib/php/sessions/sess_*"],
    ["ssh's agent", "/tmp/ssh-AbCdEfGh1234/agent.77", "/tmp/ssh-*/agent.*"],
    ["pip", "/tmp/pip-install-abcd1_34/x", "/tmp/pip-install-*/x"],
    ["rustc", "/tmp/rustcAbC123/lib.rmeta", "/tmp/rustc*/lib.rmeta"],
    ["PyInstaller", "/tmp/_MEIAbC123/libz.so", "/tmp/_MEI*/libz.so"],
    ["R", "/tmp/Rtmp1a2B3c/x", "/tmp/Rtmp*/x"],
    ["vim", "/tmp/vQqQ98z/1", "/tmp/v*/*"],
    ["perl", "/tmp/zYxWvU1tSr", "/tmp/*"],
    ["AppImage", "/tmp/.mount_appAbC123/run", "/tmp/.mount_app*/run"],
    ["node's mkdtemp", "/tmp/app-xK3pQz", "/tmp/app-*"],
    ["npm and yarn", "/tmp/npm-123-ab901234", "/tmp/npm-*"],
    ["npm's rename", "/app/node_modules/.express-AbC12dEf", "/app/node_modules/.express-*"],
    ["rpm", "/usr/lib/libx.so;63f1a2b3", "/usr/lib/libx.so;*"],
    [
      "a private folder of systemd",
      "/tmp/systemd-private-0a-nginx.service-AbC123/tmp",
      "/tmp/systemd-private-0a-nginx.service-*/tmp",
    ],
    ["PostgreSQL", "/pg/base/pgsql_tmp/pgsql_tmp123.0", "/pg/base/pgsql_tmp/pgsql_tmp*"],
    ["PostgreSQL's shared memory", "/dev/shm/PostgreSQL.987", "/dev/shm/PostgreSQL.*"],
    ["MySQL", "/var/lib/mysql/db/#sql-1_2.frm", "/var/lib/mysql/db/#sql*.frm"],
    ["Redis", "/data/temp-rewriteaof-12.aof", "/data/temp-rewriteaof-*.aof"],
    ["a drawn ending anywhere", "/srv/data.aB3dE9", "/srv/data.*"],
    ["days", "/var/log/app/app-2026-11-29.log", "/var/log/app/app-*.log"],
    ["days with a time", "/backup/dump_20261129T101112.sql.gz", "/backup/dump_*.sql.gz"],
    [
      "the service account's volume",
      "/var/lib/kubelet/pods/0f8fad5b-d9cb-469f-a165-70867728950e/volumes/kubernetes.io~projected/kube-api-access-x9z8q/token",
      "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/kube-api-access-*/token",
    ],
    ["NFS", "/data/.nfs000000000012d687000000a5", "/data/.nfs*"],
    ["Rust's tempfile outside /tmp", "/data/.tmpAbC12d", "/data/.tmp*"],
    ["core dumps", "/app/core.77", "/app/core.*"],
    ["Java's attach files", "/tmp/.java_pid77", "/tmp/.java_pid*"],
    ["Java's error files", "/app/hs_err_pid7.log", "/app/hs_err_pid*.log"],
    [".NET's pipes", "/tmp/clr-debug-pipe-1-2134567-in", "/tmp/clr-debug-pipe-*-in"],
    [".NET's sockets", "/tmp/dotnet-diagnostic-1-2134567-socket", "/tmp/dotnet-diagnostic-*-socket"],
    ["Ruby's Tempfile", "/tmp/upload20251123-77-x9k2zp.jpg", "/tmp/upload*.jpg"],
    ["ULIDs", "/prometheus/01BKGV7JBM69T2G1BGBGM6KB12/meta.json", "/prometheus/*/meta.json"],
    [
      "transient units",
      "/run/systemd/transient/run-r0123456789abcdef0123456789abcdef.scope",
      "/run/systemd/transient/run-r*.scope",
    ],
    ["go's cache", `/root/.cache/go-build/ab/ab${"12cd".repeat(15)}-d`, "/root/.cache/go-build/*/*-d"],
    ["npm's cache", `/c/_cacache/content-v2/sha512/ab/cd/${"ef01".repeat(31)}`, "/c/_cacache/content-v2/sha512/*/*/*"],
    ["pip's cache", `/c/pip/http-v2/a/b/c/d/e/abcde${"0f1".repeat(17)}`, "/c/pip/http-v2/*/*/*/*/*/*"],
    ["a registry", `/v2/blobs/sha256/0f/0f${"12cd".repeat(15)}/data`, "/v2/blobs/sha256/*/*/data"],
    ["a slash at the end", "/etc/nginx/", "/etc/nginx"],
    ["doubled slashes and dots", "/etc//./nginx/../shadow", "/etc/shadow"],
    ["dots above the root", "/../../etc/shadow", "/etc/shadow"],
  ])("%s", (_name, path, folded) => {
    expect(foldPath(path)).toBe(folded);
  });
});

describe("foldPath leaves", () => {
  const plain = `
    / | /bin/bash | /usr/bin/python3.6 | /usr/lib/x86_64-linux-gnu/libc.so.6 | /usr/lib/libssl.so.1.1
    /etc/nginx/conf.d/default.conf | /opt/app-v1.2.3/run | /dev/sda1 | /dev/pts/0a | /etc/passwd-
    /home/user/notes.2024`;
  const outsideOfTemporaryFolders = `
    /srv/foo.Abc123 | /srv/FooBar.Report | /tmp/Report2 | /tmp/linpeas.sh | /tmp/xmrig-6.21.0 | /tmp/ccleaner
    /opt/app-2026.1/run | /srv/tmpfiles.d/x1 | /srv/sedimentary | /usr/bin/sed | /opt/etc.12/x | /usr/share/man/man.1
    /data/db/users | /tmp/notes-12-final | /usr/bin/run-parts | /usr/lib/core.so | /etc/rc3.d | /etc/ld.so.conf
    /root/.bashrc.backup | /repo/objects/ab/x | /var/log/containers | /tmp/notes.txt | /tmp/readme | /tmp/archive.tar`;
  const wordsOfHexLetters = `
    /srv/deadbeefcafebabe | relative/path | bash | google.com | USB MASS-STORAGE | CAP_NET_RAW | INGRESS`;

  it.each(["", ...[plain, outsideOfTemporaryFolders, wordsOfHexLetters].flatMap(parseList)])("%s", (path) => {
    expect(foldPath(path)).toBe(path);
  });
});

describe("foldExecutable", () => {
  it.each([
    ["/usr/bin/apt update", "/usr/bin/apt", "/usr/bin/apt"],
    ["/usr/bin/apt update", "", "/usr/bin/apt"],
    ["/usr/bin/apt", "/usr/bin/apt", "/usr/bin/apt"],
    ["  /usr/bin/apt update ", "/usr/bin/apt", "/usr/bin/apt"],
    ["/opt/my app/run x", "/opt/my app/run", "/opt/my app/run"],
    ["/opt/my app/run", "/opt/my app/run", "/opt/my app/run"],
    // A hint that is only the beginning of the word is not the executable.
    ["/usr/bin/apt-get update", "/usr/bin/apt", "/usr/bin/apt-get"],
    ["bash", "/bin/bash", "bash"],
    ["", "/bin/bash", "/bin/bash"],
    [" ", " /bin/bash ", "/bin/bash"],
    ["", "", ""],
    ["/tmp/sh-thd-2512146865 -x", "", "/tmp/sh-thd-*"],
    ["/proc/77/exe --arg", "/proc/77/exe", "/proc/*/exe"],
  ])("of %j with hint %j is %j", (line, hint, executable) => {
    expect(foldExecutable(line, hint)).toBe(executable);
  });
});

describe("foldWorkload", () => {
  it.each([
    ["Job", "migrate-28391000", "migrate-28391000-q7w2e", "migrate-*"],
    ["Job", "migrate-3", "migrate-3-q7w2e", "migrate-*"],
    ["Job", "migrate-20240115-1705", "", "migrate-*"],
    ["Job", "migrate-x7k2p", "", "migrate-*"],
    ["Job", "migrate", "migrate-q7w2e", "migrate"],
    ["ReplicaSet", "web-dd191696e", "web-dd191696e-q7w2e", "web-*"],
    ["ReplicaSet", "web-6c5f9d7b8", "web-6c5f9d7b8-q7w2e", "web-*"],
    // The pod does not repeat it, or it is a word.
    ["ReplicaSet", "web-6c5f9d7b8", "other", "web-6c5f9d7b8"],
    ["ReplicaSet", "payments-v1", "payments-v1-q7w2e", "payments-v1"],
    ["ReplicaSet", "shop-version2", "shop-version2-q7w2e", "shop-version2"],
    ["Pod", "runner-42-f21b0ef8", "runner-42-f21b0ef8", "runner-42-*"],
    ["Pod", "runner-t1zq-project-42-concurrent-0-x7k2p", "", "runner-t1zq-project-42-concurrent-0-*"],
    ["Pod", "build-0f8fad5b-d9cb-469f-a165-70867728950e", "", "build-*"],
    ["Pod", "jupyter-user1", "jupyter-user1", "jupyter-user1"],
    ["Pod", "nginx-secrets", "nginx-secrets", "nginx-secrets"],
    ["Pod", "mysql-0", "mysql-0", "mysql-0"],
    ["Pod", "28391000", "", "28391000"],
    ["Pod", "build-run-x8k2p-pod", "", "build-run-*-pod"],
    ["Pod", "ci-x7k2p-runner-8f9kq", "", "ci-*-runner-*"],
    ["Pod", "spark-pi-8c5b7a8f1d2e3c4b-driver", "", "spark-pi-*-driver"],
    ["Pod", "build-qwxzt", "", "build-*"],
    ["Pod", "proxy-https", "", "proxy-https"],
    ["Job", "release-7-migrate", "", "release-*-migrate"],
    ["ReplicaSet", "web-bcdfbcdfb", "web-bcdfbcdfb-q7w2e", "web-*"],
    ["ReplicationController", "web-3", "web-3-q7w2e", "web-*"],
    ["Rollout", "api-6c5f9d7b8", "", "api-6c5f9d7b8"],
    ["Workflow", "deploy-7wq5k", "", "deploy-*"],
    ["Deployment", "payments-v1", "", "payments-v1"],
    ["Deployment", "api-6c5f9d7b8", "", "api-6c5f9d7b8"],
    ["StatefulSet", "db-12345", "", "db-12345"],
  ])("of %s %s with pod %j is %s", (kind, name, pod, folded) => {
    expect(foldWorkload(kind, name, pod)).toBe(folded);
    expect(foldWorkload(kind, folded, pod)).toBe(folded);
  });
});

describe("folding twice", () => {
  const segment = fc.oneof(
    fc.stringMatching(/^[a-f0-9]{0,40}$/),
    fc.stringMatching(/^(tmp|foo)[._-]?[A-Za-z0-9_]{0,14}(\.[A-Za-z0-9]{0,11})?$/),
    fc.stringMatching(/^[a-z]{0,4}\d{0,12}(\.[a-z0-9]{0,8}){0,2}$/),
    fc.uuid(),
    fc.constantFrom("tmp", "shm", "proc", "..", ".", "*", "[12]", "[1[2]3]", "a=1", "fd=/9"),
    generateHostileText().map((text) => text.slice(0, 200)),
  );
  const text = fc
    .array(segment, { maxLength: 8 })
    .chain((parts) => fc.constantFrom("/", " ", "").map((by) => parts.join(by)));

  it.each([
    ["paths", foldPath],
    ["executables", (line: string) => foldExecutable(line, "")],
    ["pods", foldPodName],
  ] as const)("changes nothing more: %s", (_name, fold) => {
    checkAll(2000, [text], (raw) => {
      const once = fold(sanitize(raw));
      expect(fold(once)).toBe(once);
    });
  });
});
