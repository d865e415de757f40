// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A small real volume (tmpfs), for tests of what happens when it is full. Needs the right to mount.

import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallVolume {
  dir: string;
  /** Takes all room that is left. */
  fill(): void;
  /** Gives it back. */
  free(): void;
  remove(): void;
}

/** Mounts a volume of `kib` KiB. */
export function mountVolume(kib: number): SmallVolume {
  const dir = mkdtempSync(join(tmpdir(), "pvo-volume-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", dir], { stdio: "pipe" });
  } catch (error) {
    rmSync(dir, { recursive: true });
    throw error;
  }
  const filler = join(dir, "filler");
  return {
    dir,
    fill() {
      writeFileSync(filler, "");
      for (let bytes = 2 ** 16; bytes >= 1; bytes = bytes > 1 ? bytes / 4 : 0) {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(bytes));
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOSPC") throw error;
        }
      }
    },
    free: () => rmSync(filler, { force: true }),
    remove() {
      // Lazily: a killed process closes no file.
      execFileSync("umount", ["-l", dir], { stdio: "pipe" });
      rmSync(dir, { recursive: true });
    },
  };
}

/** Returns the reason why no volume can be mounted; undefined where it can. */
export function findMountProblem(): string | undefined {
  try {
    mountVolume(64).remove();
    return undefined;
  } catch {
    return "needs the right to mount a tmpfs: run as root";
  }
}
