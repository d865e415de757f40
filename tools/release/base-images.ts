// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Prints the base images of a Dockerfile, pinned by the digests that their registries have now, as build arguments:
// `base-images.ts Dockerfile` prints `RUNTIME_IMAGE=gcr.io/…:nonroot@sha256:…`. Needs docker with buildx.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Reads the build arguments that name a base image, with their defaults. */
export function readBaseImages(dockerfile: string): Record<string, string> {
  const found = dockerfile.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm);
  return Object.fromEntries([...found].map(([, name = "", image = ""]) => [name, image]));
}

/** Pins each image; `resolve` returns the digest of its index over all platforms. Throws for anything else. */
export function pinBaseImages(dockerfile: string, resolve: (image: string) => string): string[] {
  const images = Object.entries(readBaseImages(dockerfile));
  if (images.length === 0) throw new Error("the Dockerfile has no ARG …_IMAGE=…");
  return images.map(([name, image]) => {
    const digest = resolve(image).trim();
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`invalid digest of ${image}: "${digest}"`);
    return `${name}=${image}@${digest}`;
  });
}

function inspect(image: string): string {
  const args = ["buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"];
  return execFileSync("docker", args, { encoding: "utf8" });
}

if (import.meta.main) {
  const [file = "Dockerfile"] = process.argv.slice(2);
  console.log(pinBaseImages(readFileSync(file, "utf8"), inspect).join("\n"));
}
