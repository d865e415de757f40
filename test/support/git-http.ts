// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// git's own HTTP backend behind one account: what a Git server does with the repositories of a folder.
// Invariant: without the account nothing of a repository is read or written.

import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";

/** An account and how often it was used. */
export interface GitOverHttp {
  readonly listener: RequestListener;
  /** Number of requests with the right name and password. */
  readonly authorizedCount: () => number;
}

/** True where git has its HTTP backend here; Debian's package has. */
export function hasGitHttpBackend(): boolean {
  return existsSync(findBackend());
}

function findBackend(): string {
  return join(execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim(), "git-http-backend");
}

/** Serves every repository below `root` to one account, for reading and writing; one needs `http.receivepack`. */
export function serveGit(root: string, user: string, password: string): GitOverHttp {
  const backend = findBackend();
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  let authorized = 0;
  const listener: RequestListener = (request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end();
      return;
    }
    authorized += 1;
    const { pathname, search } = new URL(request.url ?? "", "https://x");
    const child = spawn(backend, {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        PATH: process.env["PATH"],
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: "1",
        REMOTE_USER: user,
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      },
    });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("close", () => {
      const answer = Buffer.concat(chunks);
      const end = answer.indexOf("\r\n\r\n");
      const lines = answer.subarray(0, end).toString().split("\r\n");
      const headers = lines.map((line) => line.split(": ", 2) as [string, string]);
      const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
      response.writeHead(Number.parseInt(status, 10), headers.filter(([name]) => name !== "Status").flat());
      response.end(answer.subarray(end + 4));
    });
  };
  return { listener, authorizedCount: () => authorized };
}
