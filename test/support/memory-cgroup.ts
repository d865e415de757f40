// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A control group that bounds the memory of what runs in it, as a container's limit does, of either version of cgroups.
// Invariant: `remove` leaves nothing behind once the processes in it have ended.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
const isV1 = existsSync(join(ROOT, "memory"));

export class MemoryCgroup {
  readonly dir: string;

  /** Throws where this process may not make one. */
  constructor(name: string, bytes: number) {
    this.dir = join(ROOT, isV1 ? "memory" : "", name);
    mkdirSync(this.dir);
    try {
      writeFileSync(join(this.dir, isV1 ? "memory.limit_in_bytes" : "memory.max"), String(bytes));
      // Swap would hide what a container does not have.
      if (!isV1) writeFileSync(join(this.dir, "memory.swap.max"), "0");
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The most that was charged to it, page cache included, in bytes. */
  get peakBytes(): number {
    return Number(this.#read(isV1 ? "memory.max_usage_in_bytes" : "memory.peak"));
  }

  /** Processes of it that the kernel has ended for want of memory. */
  get oomKills(): number {
    const text = this.#read(isV1 ? "memory.oom_control" : "memory.events");
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  remove(): void {
    rmdirSync(this.dir);
  }

  #read(file: string): string {
    return readFileSync(join(this.dir, file), "utf8");
  }
}

/** Reason for which there can be no such group here; undefined when there can. */
export function findMemoryCgroupObstacle(): string | undefined {
  try {
    new MemoryCgroup(`pvo-probe-${process.pid}`, 2 ** 29).remove();
    return undefined;
  } catch (error) {
    return `no control group of memory can be made: ${String(error)}`;
  }
}
