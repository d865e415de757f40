// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the operator's image from the Dockerfile, and one of the KubeArmor node server, with buildah and without any
// registry of images: the two base images are stand-ins made of this machine's Node and its libraries.
// Invariant: buildah keeps its state in the folder that it is given, and nothing stays in the machine's own storage.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundle } from "../../tools/bundle.ts";
import { run } from "../../tools/cluster/process.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The tag of the images that are built from our Dockerfiles, which is what the chart asks for. */
export const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };

/** The operator's image: its name is what the chart is given. */
export const OPERATOR_IMAGE = "localhost/policy-violation-operator";
/** A server that speaks as KubeArmor and its relay do; `relay-pod.ts` runs in it. */
export const RELAY_IMAGE = "localhost/kubearmor-relay:1";

/** Lacking programs to build images; undefined for none. */
export function findImageObstacle(): string | undefined {
  if (spawnSync("buildah", ["--version"]).status === 0) return undefined;
  return "not installed: buildah (on Debian and Ubuntu: apt-get install -y --no-install-recommends buildah)";
}

/** Builds both images; returns archives that `importImage` takes. `dir` holds all that is made on the way. */
export async function buildImages(dir: string): Promise<string[]> {
  const images = new Images(dir);
  const names = readBaseNames();
  await images.commit(names.runtime, buildStandIn(join(dir, "runtime"), []), ["--workingdir", "/"]);
  await images.commit(names.build, buildStandIn(join(dir, "build"), ["/bin/sh"]), []);
  await images.buildDockerfile("Dockerfile", OPERATOR_IMAGE, join(dir, "npmrc"));
  const relay = join(dir, "relay");
  await bundle({ "relay-pod": "test/real-node/relay-pod.ts" }, join(relay, "app/bundle"), ROOT, []);
  // The server looks for it next to its own folder, as in the checkout.
  cpSync(join(ROOT, "proto"), join(dir, "relay/proto"), { recursive: true });
  cpSync(join(dir, "runtime"), relay, { recursive: true, verbatimSymlinks: true });
  const start = ["--entrypoint", '["node", "/app/bundle/relay-pod.cjs"]', "--env", "PATH=/usr/local/bin"];
  await images.commit(RELAY_IMAGE, relay, start);
  return [await images.archive(`${OPERATOR_IMAGE}:${version}`, "operator"), await images.archive(RELAY_IMAGE, "relay")];
}

/** The base images as the Dockerfile names them. */
function readBaseNames(): { build: string; runtime: string } {
  const text = readFileSync(join(ROOT, "Dockerfile"), "utf8");
  const of = (argument: string) => new RegExp(`^ARG ${argument}=(\\S+)$`, "m").exec(text)?.[1] ?? "";
  return { build: `docker.io/library/${of("BUILD_IMAGE")}`, runtime: of("RUNTIME_IMAGE") };
}

/** A root file system with this machine's Node and the programs that are named; with a shell, npm too. */
function buildStandIn(root: string, programs: readonly string[]): string {
  const node = realpathSync(process.execPath);
  mkdirSync(join(root, "usr/local/bin"), { recursive: true });
  for (const folder of ["tmp", "etc", "root"]) mkdirSync(join(root, folder), { recursive: true });
  cpSync(node, join(root, "usr/local/bin/node"));
  for (const file of [...listLibraries(node), ...programs.flatMap((path) => [path, ...listLibraries(path)])]) {
    const to = join(root, file);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(realpathSync(file), to);
  }
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  if (programs.length > 0) addNpm(root);
  return root;
}

function listLibraries(program: string): string[] {
  const { stdout } = spawnSync("ldd", [program], { encoding: "utf8" });
  return [...stdout.matchAll(/(?<==> |^\s)(\/\S+)/gm)].map(([, path = ""]) => path);
}

/** Puts this machine's npm into a root file system that has a shell and Node. */
export function addNpm(root: string): void {
  const { stdout } = spawnSync("sh", ["-c", "command -v npm"], { encoding: "utf8" });
  // …/npm/bin/npm-cli.js
  const npm = join(realpathSync(stdout.trim()), "../..");
  cpSync(npm, join(root, "usr/local/lib/npm"), { recursive: true, dereference: true });
  const start = '#!/bin/sh\nexec node /usr/local/lib/npm/bin/npm-cli.js "$@"\n';
  writeFileSync(join(root, "usr/local/bin/npm"), start, { mode: 0o755 });
}

/** The images of one folder. */
export class Images {
  readonly #dir: string;
  readonly #storage: string[];

  constructor(dir: string) {
    this.#dir = dir;
    const storage = join(dir, "storage");
    this.#storage = ["--root", storage, "--runroot", join(dir, "run"), "--storage-driver", "overlay"];
  }

  async #runBuildah(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run("buildah", [...this.#storage, ...args], { timeoutMs: 600_000 });
    if (code !== 0) throw new Error(`buildah ${args.join(" ")}: ${stderr.trim()}\n${stdout.trim()}`);
    return stdout.trim();
  }

  /** An image of one layer: the folder. */
  async commit(name: string, root: string, config: readonly string[]): Promise<void> {
    const container = await this.#runBuildah("from", "scratch");
    await this.#runBuildah("copy", "--quiet", container, root, "/");
    await this.#runBuildah("config", "--env", "PATH=/usr/local/bin:/bin", ...config, container);
    await this.#runBuildah("commit", "--quiet", "--rm", container, name);
  }

  /** Builds a Dockerfile of the checkout as `name` and our version; `npmrc` is a file that is written for it. */
  async buildDockerfile(dockerfile: string, name: string, npmrc: string): Promise<void> {
    // npm in the image asks the registry that this machine's npm asks, by the same certificates, and its cache first.
    const setting = (key: string) => spawnSync("npm", ["config", "get", key], { encoding: "utf8" }).stdout.trim();
    const ca = process.env["NODE_EXTRA_CA_CERTS"] ?? setting("cafile");
    const caLine = existsSync(ca) ? "cafile=/tmp/ca.crt\n" : "";
    writeFileSync(npmrc, `registry=${setting("registry")}\ncache=/tmp/npm-cache\nprefer-offline=true\n${caLine}`);
    const volumes = [
      ...["-v", `${npmrc}:/root/.npmrc:ro`, "-v", `${setting("cache")}:/tmp/npm-cache`],
      ...["-v", "/etc/resolv.conf:/etc/resolv.conf:ro"],
      ...(caLine === "" ? [] : ["-v", `${realpathSync(ca)}:/tmp/ca.crt:ro`]),
    ];
    const args = ["--build-arg", `VERSION=${version}`, "--tag", `${name}:${version}`];
    // Other kinds of isolation leave a bridge and firewall rules on the machine.
    const file = ["--file", join(ROOT, dockerfile)];
    await this.#runBuildah("build", "--pull-never", "--isolation", "chroot", ...file, ...volumes, ...args, ROOT);
  }

  /** Writes an image as an archive that `importImage` takes; returns its path. */
  async archive(name: string, file: string): Promise<string> {
    const path = join(this.#dir, `${file}.tar`);
    await this.#runBuildah("push", "--quiet", name, `docker-archive:${path}:${name}`);
    return path;
  }
}
