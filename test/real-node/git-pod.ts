// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs in a pod as a Git server: one repository over HTTPS, for one account. The image is that of the Git export, whose
// git has the HTTP backend.
// Invariant: it serves nothing but the repository that it makes when it starts.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { serveGit } from "../support/git-http.ts";

const [root = "", tls = ""] = process.argv.slice(2);
const repository = join(root, "audit.git");
execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", repository]);
execFileSync("git", ["-C", repository, "config", "http.receivepack", "true"]);
const read = (name: string) => readFileSync(join(tls, name));
const options = { cert: read("tls.crt"), key: read("tls.key") };
const { listener } = serveGit(root, read("username").toString(), read("password").toString());
createServer(options, listener).listen(8443, "0.0.0.0");
process.once("SIGTERM", () => process.exit(0));
