// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Reads the environment variables that the image sets, from the Dockerfile; without its PATH. */
export function readImageEnv(): Readonly<Record<string, string>> {
  const dockerfile = readFileSync(join(import.meta.dirname, "../../Dockerfile"), "utf8");
  const last = dockerfile.slice(dockerfile.lastIndexOf("FROM "));
  const variables = /^ENV ((?:.*\\\n)*.*)$/m.exec(last)?.[1] ?? "";
  const env = Object.fromEntries(
    [...variables.matchAll(/(\w+)=(\S+)/g)].map(([, name = "", value = ""]) => [name, value]),
  );
  delete env["PATH"];
  return env;
}
