// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Packs the files of a release. Needs GNU tar in the PATH.

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";

const REPRODUCIBLE = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];

/**
 * Packs what is in a folder as a .tar.gz; the same files give the same archive. The folder itself is not an entry: unpacked by
 * root, it would give its mode to the folder that it is unpacked to, such as /usr/local/bin.
 */
export function packArchive(folder: string, file: string): void {
  const compress = "--use-compress-program=gzip -n";
  execFileSync("tar", [...REPRODUCIBLE, compress, "-cf", file, "-C", folder, ...readdirSync(folder).sort()]);
}
