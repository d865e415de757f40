// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pushing to real Git servers: a bare repository, git's own HTTP backend behind HTTPS with a password, and sshd.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { hasGitHttpBackend, serveGit } from "../../test/support/git-http.ts";
import { startServer, stopServer } from "../../tools/cluster/process.ts";
import { findFreePort } from "../../tools/free-port.ts";
import { makeDirectory, report, runPlugin, SAMPLE_REPORTS_DIR, violation } from "./session.ts";

const GIT_ENV = { PATH: process.env["PATH"], HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1" };
const runGit = (cwd: string, ...args: string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd, encoding: "utf8", env: GIT_ENV });

function createBareRepository(): string {
  const dir = join(makeDirectory(), "audit.git");
  execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", dir]);
  runGit(dir, "config", "http.receivepack", "true");
  return dir;
}

const clone = (repository: string) => {
  const dir = join(makeDirectory(), "clone");
  execFileSync("git", ["clone", "--quiet", repository, dir], { env: GIT_ENV });
  return dir;
};

function writeCredentials(files: Record<string, string>): string {
  const dir = makeDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

const HAS_BACKEND = hasGitHttpBackend() && spawnSync("openssl", ["version"]).status === 0;
// It needs a directory of its own under /run.
const HAS_SSHD = existsSync("/usr/sbin/sshd") && process.getuid?.() === 0;

describe("push to a repository on disk", () => {
  test("makes the branch; a fresh clone holds the state; a second time nothing changes", async () => {
    const repository = createBareRepository();
    const first = await runPlugin(["push", "-A", "--repository", repository]);
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/^main: 23 new, 0 changed, 0 gone, 0 unchanged, commit [0-9a-f]{7,}\.\n$/);
    const state = join(clone(repository), "violations");
    expect(execFileSync("diff", ["-r", SAMPLE_REPORTS_DIR, state], { encoding: "utf8" })).toBe("");
    expect(await runPlugin(["push", "-A", "--repository", repository])).toEqual({
      code: 0,
      out: "main: nothing changed, 23 reports.\n",
      err: "",
    });
    expect(runGit(repository, "rev-list", "--count", "main").trim()).toBe("1");
    expect(runGit(repository, "log", "--format=%an <%ae>%n%s", "-1")).toBe(
      "policy-violation-operator <noreply@policy-violation-operator>\nViolations: 23 new, 0 changed, 0 gone, 0 unchanged\n",
    );
  });

  test("commits a few lines for one new violation, next to files of others", async () => {
    const repository = createBareRepository();
    const other = clone(repository);
    writeFileSync(join(other, "README.md"), "theirs");
    writeFileSync(join(other, ".gitignore"), "violations/\n");
    runGit(other, "add", "-A");
    runGit(other, "commit", "-qm", "theirs");
    runGit(other, "push", "-q", "origin", "HEAD:main");
    const author = ["--author", "Audit <audit@example.org>"];
    const flags = ["push", "-A", "--repository", repository, "--summary", ...author, "--message", "Daily"];
    await runPlugin(flags, { reports: [report("p", [violation()])] });
    await runPlugin(flags, { reports: [report("p", [violation(), violation({ id: "00000000000000ab" })])] });
    const log = runGit(repository, "log", "--format=%s %an", "main").trimEnd().split("\n");
    expect(log).toEqual(["Daily Audit", "Daily Audit", "theirs t"]);
    const diff = runGit(repository, "diff", "--numstat", "main~1", "main").trim();
    expect(diff).toMatch(/^1[0-9]\t1\tviolations\/shop\/policyviolationreports\/p\.yaml$/);
    expect(readFileSync(join(clone(repository), "README.md"), "utf8")).toBe("theirs");
  });

  test("loses nothing of others who push at the same time", async () => {
    const repository = createBareRepository();
    await runPlugin(["push", "-A", "--repository", repository], { reports: [] });
    const time = { nowMs: () => 0, monotonicMs: () => 0, random: () => 0, after: () => () => undefined };
    const clock = { ...time, sleep: async () => undefined, turn: async () => undefined };
    const pushes = Array.from({ length: 3 }, (_, n) =>
      runPlugin(["push", "-A", "--repository", repository, "--path", `cluster-${n}`], { clock }),
    );
    expect((await Promise.all(pushes)).map(({ code }) => code)).toEqual([0, 0, 0]);
    const state = clone(repository);
    for (const n of [0, 1, 2]) expect(existsSync(join(state, `cluster-${n}/default`))).toBe(true);
    expect(runGit(repository, "rev-list", "--count", "main").trim()).toBe("3");
  });

  test("follows no link out of the repository", async () => {
    const repository = createBareRepository();
    const other = clone(repository);
    const elsewhere = makeDirectory();
    symlinkSync(elsewhere, join(other, "violations"));
    runGit(other, "add", "-A");
    runGit(other, "commit", "-qm", "trap");
    runGit(other, "push", "-q", "origin", "HEAD:main");
    const { code, err } = await runPlugin(["push", "-A", "--repository", repository]);
    expect(code).toBe(2);
    expect(err).toContain("it is a file; name a directory");
    expect(execFileSync("ls", ["-A", elsewhere], { encoding: "utf8" })).toBe("");
  });
});

describe.skipIf(!HAS_BACKEND)(
  `push over HTTPS${HAS_BACKEND ? "" : " (skipped: no git-http-backend or no openssl)"}`,
  () => {
    /** git's own HTTP backend behind HTTPS, with one account. */
    async function startHttpsServer(root: string): Promise<{ url: string; ca: string; authorizations: () => number }> {
      const tls = makeDirectory();
      const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key -out crt";
      const subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost";
      execFileSync("openssl", `req -x509 ${key} ${subject}`.split(" "), { cwd: tls, stdio: "ignore" });
      const git = serveGit(root, "audit", "s3cret");
      const server = createServer(
        { key: readFileSync(join(tls, "key")), cert: readFileSync(join(tls, "crt")) },
        git.listener,
      );
      await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      return {
        url: `https://localhost:${port}`,
        ca: readFileSync(join(tls, "crt"), "utf8"),
        authorizations: git.authorizedCount,
      };
    }

    test("with a user, a password and a CA from a Secret's files", async () => {
      const repository = createBareRepository();
      const server = await startHttpsServer(join(repository, ".."));
      const url = `${server.url}/audit.git`;
      const good = writeCredentials({ username: "audit", password: "s3cret\n", "ca.crt": server.ca });
      const { code, out, err } = await runPlugin(["push", "-A", "--repository", url, "--credentials", good]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toMatch(/^main: 23 new/);
      expect(server.authorizations()).toBeGreaterThan(2);
      expect(
        execFileSync("diff", ["-r", SAMPLE_REPORTS_DIR, join(clone(repository), "violations")], { encoding: "utf8" }),
      ).toBe("");

      const wrong = writeCredentials({ username: "audit", password: "wr0ng", "ca.crt": server.ca });
      const refused = await runPlugin(["push", "-A", "--repository", url, "--credentials", wrong]);
      expect(refused.code).toBe(3);
      expect(refused.err).toContain("the server refused the credentials");
      expect(refused.err + refused.out).not.toContain("wr0ng");

      const untrusted = writeCredentials({ username: "audit", password: "s3cret" });
      const distrusted = await runPlugin(["push", "-A", "--repository", url, "--credentials", untrusted]);
      expect(distrusted.err).toContain("put its CA into the file ca.crt of the credentials");
    });
  },
);

describe.skipIf(!HAS_SSHD)(`push over SSH${HAS_SSHD ? "" : " (skipped: no sshd, or not root)"}`, () => {
  test("with a key and known hosts from a Secret's files, and to no other host", async () => {
    const repository = createBareRepository();
    const dir = makeDirectory();
    const keys = ["host", "client", "stranger"];
    for (const name of keys) execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, name)]);
    const port = await findFreePort();
    writeFileSync(join(dir, "authorized"), readFileSync(join(dir, "client.pub")));
    writeFileSync(
      join(dir, "config"),
      `ListenAddress 127.0.0.1:${port}\nHostKey ${join(dir, "host")}\nAuthorizedKeysFile ${join(dir, "authorized")}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n`,
    );
    mkdirSync("/run/sshd", { recursive: true });
    const server = await startServer({
      file: "/usr/sbin/sshd",
      args: ["-D", "-e", "-f", join(dir, "config")],
      logPath: join(dir, "log"),
    });
    onTestFinished(() => stopServer(server, 0));
    await expect.poll(() => readFileSync(join(dir, "log"), "utf8"), { timeout: 20_000 }).toContain("Server listening");
    const url = `ssh://${userInfo().username}@127.0.0.1:${port}${repository}`;
    const hostKey = (name: string) => `[127.0.0.1]:${port} ${readFileSync(join(dir, `${name}.pub`), "utf8")}`;
    const key = (name: string) => readFileSync(join(dir, name), "utf8");
    const push = (files: Record<string, string>) =>
      runPlugin(["push", "-A", "--repository", url, "--credentials", writeCredentials(files)]);

    const done = await push({ "ssh-privatekey": key("client"), known_hosts: hostKey("host") });
    expect({ code: done.code, err: done.err }).toEqual({ code: 0, err: "" });
    expect(
      execFileSync("diff", ["-r", SAMPLE_REPORTS_DIR, join(clone(repository), "violations")], { encoding: "utf8" }),
    ).toBe("");

    const otherHost = await push({ "ssh-privatekey": key("client"), known_hosts: hostKey("stranger") });
    expect(otherHost.err).toContain("the server's key is not in known_hosts, or is another one");
    const otherKey = await push({ "ssh-privatekey": key("stranger"), known_hosts: hostKey("host") });
    expect(otherKey.err).toContain("the server does not know this key");
    const noHosts = await push({ "ssh-privatekey": key("client") });
    expect({ code: noHosts.code, err: noHosts.err }).toEqual({
      code: 2,
      err: expect.stringContaining("has no file known_hosts, which ssh:// needs; write it with `ssh-keyscan HOST`"),
    });
  });
});

test.each([
  [[], "--repository is required"],
  [["--repository", "https://me:pw@git.example/x"], "invalid --repository: it must not hold a user or a password"],
  [["--repository", "ext::sh -c true"], "for --repository: expected https://"],
  [["--repository", "ftp://x/y"], "ftp:// is not supported"],
  [["--repository", "/x", "--branch", "a..b"], 'invalid value "a..b" for --branch: expected the name of a branch.'],
  [["--repository", "/x", "--branch", "-f"], 'invalid value "-f" for --branch: expected the name of a branch.'],
  [
    ["--repository", "/x", "--path", "../y"],
    'invalid value "../y" for --path: expected a directory within the repository',
  ],
  [["--repository", "/x", "--path", ".git/hooks"], "expected a directory within the repository"],
  [["--repository", "/x", "--author", "me"], 'invalid value "me" for --author: expected "Name'],
  [["--repository", "https://git.example/x", "--credentials", "/nowhere"], "--credentials /nowhere can't be read"],
  [["--repository", "http://git.example/x", "--credentials", "/tmp"], "would send the credentials unencrypted"],
])("%j", async (flags, message) => {
  const { code, err } = await runPlugin(["push", "-A", ...flags], { reports: [] });
  expect(code).toBe(2);
  expect(err).toContain(message);
});

test("a repository that is not there", async () => {
  const { code, err } = await runPlugin(["push", "-A", "--repository", "/nowhere/x.git"], { reports: [] });
  expect(code).toBe(3);
  expect(err).toContain("/nowhere/x.git: git ls-remote: there is no such repository, or the account may not see it");
});
