// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Credentials for git: from files as a Secret mounts them, without a secret in an argument or a message. Invariant: a
// credential goes to the repository's own server alone, and never over a connection that is not encrypted.

import { chmod, copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { getErrorMessage } from "../../../src/lib/error-message.ts";
import { createUsageError } from "../reports/problem.ts";

/** Settings of every git call: no prompt, no hook, no link of the repository. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ["core.hooksPath", "/dev/null"],
  // A link in the repository must not lead out of it: it is checked out as a file that holds its target.
  ["core.symlinks", "false"],
  ["commit.gpgSign", "false"],
  ["core.autocrlf", "false"],
];

const ENVIRONMENT = {
  GIT_TERMINAL_PROMPT: "0",
  GIT_ALLOW_PROTOCOL: "https:http:ssh:file",
  // Messages are matched.
  LC_ALL: "C",
};

/** Parses the address of a repository and its transport; throws for an invalid one. */
export function parseRepository(text: string): { scheme: "https" | "http" | "ssh" | "file"; origin: string } {
  if (URL.canParse(text) && /^[a-z+]+:\/\//i.test(text)) {
    const url = new URL(text);
    const scheme = url.protocol.slice(0, -1);
    if (url.password !== "" || (url.username !== "" && scheme !== "ssh")) {
      throw createUsageError(
        "invalid --repository: it must not hold a user or a password. Put them into files, and name their --credentials.",
      );
    }
    if (scheme === "https" || scheme === "http") return { scheme, origin: `${url.origin}/` };
    if (scheme === "ssh" || scheme === "file") return { scheme, origin: "" };
    throw createUsageError(
      `invalid value "${text}" for --repository: ${scheme}:// is not supported; use https://, ssh:// or git@host:path.`,
    );
  }
  if (/^[\w.-]+@[\w.-]+:[^-]/.test(text)) return { scheme: "ssh", origin: "" };
  if (text.startsWith("-") || text === "" || /^\w+::/.test(text)) {
    throw createUsageError(
      `invalid value "${text}" for --repository: expected https://…, ssh://…, git@host:path or a path.`,
    );
  }
  return { scheme: "file", origin: "" };
}

/** The environment for git. `privateDir` is a new directory that only we can read and that is removed afterwards. */
export async function createGitEnvironment(
  repository: string,
  credentials: string | undefined,
  privateDir: string,
): Promise<Record<string, string>> {
  const settings = [...SETTINGS];
  const { scheme, origin } = parseRepository(repository);
  if (credentials === undefined) return withSettings({ ...ENVIRONMENT }, settings);
  const files = await listFiles(credentials);
  // No credential helpers or agents of the user: only those named here are used.
  const env: Record<string, string> = { ...ENVIRONMENT, GIT_CONFIG_GLOBAL: "/dev/null", HOME: privateDir };
  if (scheme === "ssh") env["GIT_SSH_COMMAND"] = await createSshCommand(credentials, files, privateDir);
  else if (scheme === "https" || scheme === "http") {
    if (scheme === "http" && !/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/]/.test(origin)) {
      throw createUsageError("--repository http://… would send the credentials unencrypted: use https:// or ssh://.");
    }
    settings.push(["credential.helper", ""], await createAuthorization(credentials, files, origin));
    // The variable, for it goes before the setting, and may be set for the whole machine.
    if (files.has("ca.crt")) env["GIT_SSL_CAINFO"] = join(credentials, "ca.crt");
  }
  return withSettings(env, settings);
}

async function listFiles(directory: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(directory));
  } catch (error) {
    throw createUsageError(
      `--credentials ${directory} can't be read (${getErrorMessage(error)}): name the directory of the Secret's files`,
    );
  }
}

async function createSshCommand(directory: string, files: ReadonlySet<string>, privateDir: string): Promise<string> {
  for (const name of ["ssh-privatekey", "known_hosts"]) {
    if (files.has(name)) continue;
    const how = name === "known_hosts" ? "; write it with `ssh-keyscan HOST` and compare the fingerprints" : "";
    throw createUsageError(`--credentials ${directory} has no file ${name}, which ssh:// needs${how}`);
  }
  const key = join(privateDir, "key");
  // ssh refuses a key that others may read, and a Secret's files may be such.
  await copyFile(join(directory, "ssh-privatekey"), key);
  await chmod(key, 0o600);
  const options = [
    "IdentitiesOnly=yes",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${join(directory, "known_hosts")}`,
  ];
  return [
    "ssh",
    "-F",
    "/dev/null",
    "-i",
    quoteArgument(key),
    ...options.flatMap((option) => ["-o", quoteArgument(option)]),
  ].join(" ");
}

async function createAuthorization(
  directory: string,
  files: ReadonlySet<string>,
  origin: string,
): Promise<[string, string]> {
  if (!files.has("password")) {
    throw createUsageError(`--credentials ${directory} has no file password (and username), which https:// needs`);
  }
  const read = async (name: string) => (await readFile(join(directory, name), "utf8")).replace(/\r?\n$/, "");
  const user = files.has("username") ? await read("username") : "git";
  const token = Buffer.from(`${user}:${await read("password")}`).toString("base64");
  // In the environment, not in an argument: those are for everybody to see. Bound to the server: a redirect gets none.
  return [`http.${origin}.extraHeader`, `Authorization: Basic ${token}`];
}

function withSettings(
  env: Record<string, string>,
  settings: readonly (readonly [string, string])[],
): Record<string, string> {
  settings.forEach(([key, value], i) => {
    env[`GIT_CONFIG_KEY_${i}`] = key;
    env[`GIT_CONFIG_VALUE_${i}`] = value;
  });
  return { ...env, GIT_CONFIG_COUNT: String(settings.length) };
}

function quoteArgument(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
