// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real node that has images.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../tools/cluster/process.ts";
import { type RealNode, startRealNode } from "./node.ts";

/** Starts a node with the images that `build` leaves as archives in a folder, which is removed afterwards. */
export async function startNodeWithImages(build: (dir: string) => Promise<string[]>): Promise<RealNode> {
  const dir = mkdtempSync(join(tmpdir(), "pvo-images-"));
  try {
    const archives = await build(dir);
    const node = await startRealNode();
    for (const archive of archives) await node.importImage(archive);
    return node;
  } finally {
    // buildah leaves its storage mounted onto itself.
    await run("umount", ["-l", join(dir, "storage/overlay")]);
    rmSync(dir, { recursive: true, force: true });
  }
}
