// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings with which the image runs the program, as the Dockerfile has them.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface ImageSettings {
  /** Without its PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** Of Node. */
  readonly flags: readonly string[];
}

export function readImageSettings(): ImageSettings {
  const dockerfile = readFileSync(join(import.meta.dirname, "../../Dockerfile"), "utf8");
  const last = dockerfile.slice(dockerfile.lastIndexOf("FROM "));
  const variables = /^ENV ((?:.*\\\n)*.*)$/m.exec(last)?.[1] ?? "";
  const entrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(last)?.[1] ?? "[]") as string[];
  const env = Object.fromEntries(
    [...variables.matchAll(/(\w+)=(\S+)/g)].map(([, name = "", value = ""]) => [name, value]),
  );
  delete env["PATH"];
  return { env, flags: entrypoint.filter((word) => word.startsWith("--")) };
}
