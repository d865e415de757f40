// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the image of the Git export from its Dockerfile. Its base, Debian with Node, is made here by debootstrap, so that
// the Dockerfile's own `apt-get install` and `useradd` run as they are written.
// Invariant: what is made on the way lies in the folder that it is given.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/cluster/process.ts";
import { NODE_PATH } from "./needs.ts";
import { addNpm, findImageObstacle, Images, version } from "./operator-image.ts";

const DOCKERFILE = "Dockerfile.gitops";
const ROOT = join(import.meta.dirname, "../..");

/** The image's name; its tag is the chart's appVersion. */
export const GITOPS_IMAGE = "localhost/policy-violation-operator-gitops";

/** Lacking parts for building the image; undefined for none. */
export function findGitopsImageObstacle(): string | undefined {
  const why = findImageObstacle();
  const { status } = spawnSync("debootstrap", ["--version"], { env: { ...process.env, PATH: NODE_PATH } });
  if (status === 0) return why;
  const install = "(on Debian and Ubuntu: apt-get install -y --no-install-recommends debootstrap)";
  return [why, `not installed: debootstrap ${install}`].filter((one) => one !== undefined).join("; ");
}

/** Builds it; returns an archive that `importImage` takes. Takes a minute or two, and Debian's package archive. */
export async function buildGitopsImage(dir: string): Promise<string> {
  const { name, suite } = readBaseImage();
  const root = await buildDebian(join(dir, "debian"), suite);
  const images = new Images(dir);
  await images.commit(name, root, ["--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
  rmSync(root, { recursive: true, force: true });
  await images.buildDockerfile(DOCKERFILE, GITOPS_IMAGE, join(dir, "npmrc"));
  return await images.archive(`${GITOPS_IMAGE}:${version}`, "gitops");
}

/** The one image that the Dockerfile both builds and runs on, and the Debian that its tag names. */
function readBaseImage(): { name: string; suite: string } {
  const text = readFileSync(join(ROOT, DOCKERFILE), "utf8");
  const images = new Set([...text.matchAll(/^ARG (?:BUILD|RUNTIME)_IMAGE=(\S+)$/gm)].map(([, image = ""]) => image));
  const [image = ""] = images;
  const suite = /^node:\d+-([a-z]+)-slim$/.exec(image)?.[1];
  if (images.size !== 1 || suite === undefined) {
    throw new Error(`${DOCKERFILE}: no stand-in for the base images ${[...images].join(", ")}`);
  }
  return { name: `docker.io/library/${image}`, suite };
}

async function buildDebian(root: string, suite: string): Promise<string> {
  mkdirSync(root, { recursive: true });
  const options = { timeoutMs: 600_000, env: { PATH: NODE_PATH } };
  const { code, stdout } = await run("debootstrap", ["--variant=minbase", suite, root], options);
  if (code !== 0) throw new Error(`debootstrap ${suite}: ${stdout.trim().split("\n").slice(-5).join("\n")}`);
  // A base image brings no packages' archives, no lists and no devices.
  for (const folder of ["var/cache/apt/archives", "var/lib/apt/lists", "dev"]) {
    rmSync(join(root, folder), { recursive: true, force: true });
    mkdirSync(join(root, folder));
  }
  cpSync(realpathSync(process.execPath), join(root, "usr/local/bin/node"));
  addNpm(root);
  return root;
}
