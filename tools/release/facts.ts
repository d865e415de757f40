// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The facts of a release: version, repository and registry, from package.json and the environment.
// RELEASE_REPOSITORY (`owner/name`) and RELEASE_REGISTRY (`host/owner`) override those of package.json.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
/** Folder of a release's files. */
export const RELEASE_DIR = join(ROOT, "dist/release");

export interface ReleaseFacts {
  version: string;
  /** `https://github.com/owner/name` */
  repositoryUrl: string;
  /** Registry and path of the images, as in `ghcr.io/owner`. */
  registry: string;
  /** Address at which the files of this release are published. */
  downloadUrl: string;
}

export function releaseFacts(env: NodeJS.ProcessEnv = process.env): ReleaseFacts {
  const { version, repository } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    version: string;
    repository: { url: string };
  };
  const own = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
  const repositoryUrl = env["RELEASE_REPOSITORY"] ? `https://github.com/${env["RELEASE_REPOSITORY"]}` : own;
  const owner = new URL(repositoryUrl).pathname.split("/")[1]?.toLowerCase() ?? "";
  const registry = env["RELEASE_REGISTRY"] || `ghcr.io/${owner}`;
  return { version, repositoryUrl, registry, downloadUrl: `${repositoryUrl}/releases/download/v${version}` };
}
