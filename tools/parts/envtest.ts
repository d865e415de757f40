// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Brings etcd, kube-apiserver and kubectl from the archive that envtest publishes, for machines that reach it.
// Invariant: nothing of an archive is unpacked before its SHA-512 has been found to be the one written here.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { basename, join } from "node:path";
import type { PartName } from "./catalog.ts";

/**
 * The newest archive whose hashes are known (`envtest-releases.yaml` of kubernetes-sigs/controller-tools). It may
 * be some patch releases behind the version that the Go module pins, which serves the same APIs.
 */
const RELEASE = "v1.36.2";
const BASE_URL = "https://github.com/kubernetes-sigs/controller-tools/releases/download";
const SHA512: Readonly<Record<string, string>> = {
  "linux-amd64":
    "ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dcf30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08",
  "linux-arm64":
    "2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae28181afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac",
  "darwin-amd64":
    "b4fe9f973cd1992e3880f8b230ed32c0c243b83371591e3e3315f4404df2cdbef8ee94eeb9bb245b7e5feb987d5c4a76c43e0877654ab73f00d7bbc2b9984514",
  "darwin-arm64":
    "9278f9e5af556b2f1f2d139769c1f0d717c7b4426917fdebdba898bcb725a916e4910d6160886194ff9be9589ea7c5c32c2b8ae0754703874b7c8ba8ddfc41ce",
};

/** Content of the archive. */
export const ENVTEST_PARTS: readonly PartName[] = ["etcd", "kube-apiserver", "kubectl"];

/** The folder below the cache that the archive's binaries are put into. */
export const ENVTEST_FOLDER = `envtest-${RELEASE}`;

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 15_000;
const MAX_ARCHIVE_BYTES = 512 * 1024 * 1024;
const MAX_REDIRECTS = 5;

/**
 * Downloads, checks and unpacks the archive into `folder`. Throws with the reason where that can't be done: an
 * unreachable host is given up on after 5 s.
 */
export async function fetchEnvtest(folder: string): Promise<void> {
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const expected = SHA512[platform];
  if (expected === undefined) throw new Error(`there is no archive for ${platform}`);
  const file = `envtest-${RELEASE}-${platform}.tar.gz`;
  unpack(await download(`${BASE_URL}/envtest-${RELEASE}/${file}`), expected, folder);
}

/** Checks an archive's SHA-512 and puts its binaries into `folder`, each by a rename; throws where it is not right. */
export function unpack(archive: Buffer, expectedSha512: string, folder: string): void {
  const found = createHash("sha512").update(archive).digest("hex");
  if (found !== expectedSha512) throw new Error(`the archive's SHA-512 is ${found}, not ${expectedSha512}`);
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, ".unpack-"));
  try {
    const tarball = join(scratch, "archive.tar.gz");
    writeFileSync(tarball, archive);
    const tar = spawnSync("tar", ["-xzf", tarball, "-C", scratch], { encoding: "utf8" });
    if (tar.status !== 0) throw new Error(`tar could not unpack it: ${tar.error?.message ?? tar.stderr}`);
    const files = readdirSync(scratch, { recursive: true, encoding: "utf8" });
    for (const name of ENVTEST_PARTS) {
      const file = files.find((path) => basename(path) === name);
      if (file === undefined) throw new Error(`the archive holds no ${name}`);
      renameSync(join(scratch, file), join(folder, name));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Node's own `fetch` has no limit for the time to connect, and a host behind a firewall may never answer. */
function download(url: string, redirectsLeft = MAX_REDIRECTS): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: IDLE_TIMEOUT_MS }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined && redirectsLeft > 0) {
        response.resume();
        resolve(download(new URL(headers.location, url).href, redirectsLeft - 1));
        return;
      }
      if (statusCode !== 200) {
        request.destroy(new Error(`${url} answered ${statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_ARCHIVE_BYTES) request.destroy(new Error(`${url} is larger than expected`));
      });
      response.on("end", () => resolve(Buffer.concat(chunks)));
      response.on("error", reject);
    });
    const connecting = setTimeout(
      () => request.destroy(new Error(`no connection to ${new URL(url).host} within ${CONNECT_TIMEOUT_MS / 1000} s`)),
      CONNECT_TIMEOUT_MS,
    );
    request.on("socket", (socket) => socket.once("secureConnect", () => clearTimeout(connecting)));
    request.on("timeout", () => request.destroy(new Error(`${url} stopped answering`)));
    request.on("error", reject);
    request.on("close", () => clearTimeout(connecting));
  });
}
