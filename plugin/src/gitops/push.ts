// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `push`: the export as a commit in a Git repository, for a schedule.
// Invariant: a commit holds reports and nothing else that changed; nothing is forced, and nothing of others is lost.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, normalize, relative } from "node:path";
import { getErrorMessage } from "../../../src/lib/error-message.ts";
import { describePlan, planFor } from "../export/export.ts";
import { applyPlan, type Plan } from "../export/export-directory.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import { formatCount } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import type { Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { createGitEnvironment, parseRepository } from "./git-credentials.ts";

const BRANCH = "main";
const PATH = "violations";
const AUTHOR = "policy-violation-operator <noreply@policy-violation-operator>";
/** Others push, too: each try begins with what they pushed. */
const MAX_TRIES = 5;
const RETRY_MS = 2000;
const MAX_LISTED = 50;

interface Target {
  repository: string;
  branch: string;
  path: string;
  author: { name: string; email: string };
}

type Git = (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;

/** Clones, exports, commits and pushes; commits nothing when nothing changed. */
export async function push(session: Session, flags: Flags): Promise<ExitCode> {
  const target = parseTarget(flags);
  const { clock, signal, terminal } = session;
  for (let tryNumber = 1; ; tryNumber++) {
    const privateDir = await mkdtemp(join(tmpdir(), "kubectl-violations-"));
    try {
      const done = await pushOnce(session, flags, target, privateDir);
      if (done !== undefined) {
        terminal.out(`${done}\n`);
        return EXIT.ok;
      }
    } finally {
      await rm(privateDir, { recursive: true, force: true });
    }
    if (tryNumber === MAX_TRIES || signal.aborted) {
      throw new PluginError(
        EXIT.failed,
        `${plain(target.repository)}: others pushed to ${target.branch} each time, ${tryNumber} times; try again later`,
      );
    }
    await clock.sleep(RETRY_MS * tryNumber * clock.random(), signal);
  }
}

function parseTarget(flags: Flags): Target {
  const { repository, branch = BRANCH, path = PATH, author = AUTHOR } = flags;
  if (repository === undefined) throw createUsageError("--repository is required: the address of the repository.");
  parseRepository(repository);
  if (!/^\w[\w./-]*$/.test(branch) || branch.includes("..") || /(?:\/|\.lock)$/.test(branch)) {
    throw createUsageError(`invalid value "${plain(branch)}" for --branch: expected the name of a branch.`);
  }
  const clean = normalize(path).replace(/\/$/, "");
  if (
    path === "" ||
    clean.startsWith("..") ||
    clean.startsWith("/") ||
    /(^|\/)\.git(\/|$)/i.test(clean) ||
    clean.startsWith("-")
  ) {
    throw createUsageError(
      `invalid value "${plain(path)}" for --path: expected a directory within the repository, such as ${PATH}.`,
    );
  }
  const [, name, email] = /^([^<>\n]+) <([^<>\s]+)>$/.exec(author) ?? [];
  if (!name || !email)
    throw createUsageError(`invalid value "${plain(author)}" for --author: expected "Name <mail@example.org>".`);
  return { repository, branch, path: clean, author: { name, email } };
}

/** Returns the result in words; undefined when others pushed in between. */
async function pushOnce(
  session: Session,
  flags: Flags,
  target: Target,
  privateDir: string,
): Promise<string | undefined> {
  const { repository, branch, path, author } = target;
  const checkout = join(privateDir, "checkout");
  const env = {
    ...(await createGitEnvironment(repository, flags.credentials, privateDir)),
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
  };
  await mkdir(checkout);
  const git: Git = async (...args) => {
    try {
      return await session.run("git", args, { cwd: checkout, env });
    } catch (error) {
      throw new PluginError(
        EXIT.failed,
        `git can't be run (${getErrorMessage(error)}): install git, and ssh for ssh:// repositories`,
        error,
      );
    }
  };
  await cloneInto(git, target);
  const directory = join(checkout, path);
  const plan = await planFor(session, flags, directory);
  if (plan.changes.length === 0) return `${branch}: nothing changed, ${formatCount(plan.unchanged, "report")}.`;
  await applyPlan(plan);
  // Forced, for an ignore rule of the repository must not keep a report out.
  await must(git, repository, "add", "--all", "--force", "--", path);
  await must(git, repository, "commit", "--quiet", "--no-verify", "--message", formatMessage(plan, flags, checkout));
  const pushed = await git("push", "--quiet", "origin", `HEAD:refs/heads/${branch}`);
  if (pushed.code !== 0) {
    if (/\[rejected\]|fetch first|non-fast-forward|cannot lock ref|incorrect old value/.test(pushed.stderr))
      return undefined;
    throw toGitProblem(repository, "push", pushed.stderr);
  }
  const commit = (await must(git, repository, "rev-parse", "--short", "HEAD")).trim();
  return `${branch}: ${describePlan(plan)}, commit ${commit}.`;
}

async function cloneInto(git: Git, { repository, branch }: Target): Promise<void> {
  await must(git, repository, "init", "--quiet", `--initial-branch=${branch}`);
  await must(git, repository, "remote", "add", "origin", repository);
  const found = await git("ls-remote", "--exit-code", "--heads", "origin", `refs/heads/${branch}`);
  // 2: the repository answered, and has no such branch; the first push makes it.
  if (found.code === 2) return;
  if (found.code !== 0) throw toGitProblem(repository, "ls-remote", found.stderr);
  await must(
    git,
    repository,
    "fetch",
    "--quiet",
    "--depth=1",
    "origin",
    `+refs/heads/${branch}:refs/remotes/origin/${branch}`,
  );
  await must(git, repository, "checkout", "--quiet", "-B", branch, `origin/${branch}`);
}

async function must(git: Git, repository: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await git(...args);
  if (code !== 0) throw toGitProblem(repository, args[0] ?? "", stderr);
  return stdout;
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /Authentication failed|could not read Username|HTTP (?:401|403)|error: 40[13]/i,
    "the server refused the credentials: check username and password (a token with the right to write)",
  ],
  [
    /Host key verification failed/,
    "the server's key is not in known_hosts, or is another one: check the fingerprint with the server's owner",
  ],
  [/Permission denied \(publickey/, "the server does not know this key: add its public half with the right to write"],
  [/Could not resolve host/i, "the host name can't be resolved: check the URL, and the network policy of the pod"],
  [
    /Connection refused|Failed to connect|timed out/i,
    "the server can't be reached: check the URL, and the network policy of the pod",
  ],
  [
    /SSL certificate|certificate verification failed|unable to get local issuer/i,
    "the server's certificate is not trusted: put its CA into the file ca.crt of the credentials",
  ],
  [
    /not found|does not exist|does not appear to be a git repository/i,
    "there is no such repository, or the account may not see it",
  ],
  [
    /protected branch|pre-receive hook declined|GH006/i,
    "the server does not take pushes to this branch: choose another --branch, or allow the account",
  ],
  [/No user exists for uid/, "ssh needs a user for this uid in /etc/passwd: use the image of Dockerfile.gitops"],
];

function toGitProblem(repository: string, step: string, stderr: string): PluginError {
  const lines = stderr
    .split("\n")
    .map((line) => plain(line))
    .filter((line) => line !== "");
  const hint = HINTS.find(([pattern]) => pattern.test(stderr))?.[1];
  return new PluginError(
    EXIT.failed,
    `${plain(repository)}: git ${step}: ${hint ?? "failed"} (${lines.slice(-2).join(" / ")})`,
  );
}

/** Returns the message with the changes, so that `git log` shows them. */
function formatMessage(plan: Plan, { message }: Flags, checkout: string): string {
  const lines = plan.changes.map(({ path, was, text }) => {
    const mark = was === undefined ? "new" : text === undefined ? "gone" : "changed";
    return `${mark.padEnd(8)}${relative(checkout, path)}`;
  });
  const listed = lines.slice(0, MAX_LISTED);
  if (lines.length > MAX_LISTED) listed.push(`… and ${lines.length - MAX_LISTED} more`);
  return `${message ?? `Violations: ${describePlan(plan)}`}\n\n${listed.join("\n")}\n`;
}
