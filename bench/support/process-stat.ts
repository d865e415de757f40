// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Figures of Linux about another process. Elsewhere it is `Skipped`.

import { existsSync, readFileSync } from "node:fs";
import { Skipped } from "./scenario.ts";

/** Of a clock tick, which Linux shows to programs as a hundredth of a second on every architecture. */
const TICK_MS = 10;

/** The processor time that a process has used, in milliseconds, to 10 ms. */
export function readCpuMs(pid: number): number {
  const stat = read(pid, "stat");
  // The name, in brackets, may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The memory that a process has in RAM now, and at most had, in bytes. */
export function readMemory(pid: number): { rssBytes: number; peakBytes: number } {
  const status = read(pid, "status");
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  return { rssBytes: kib("VmRSS") * 1024, peakBytes: kib("VmHWM") * 1024 };
}

/** The process among these with this name. */
export function findPid(name: string, pids: readonly number[]): number {
  const found = pids.find((pid) => read(pid, "comm").trim() === name.slice(0, 15));
  if (found === undefined) throw new Error(`no process ${name} among ${pids.join(", ")}`);
  return found;
}

function read(pid: number, file: string): string {
  if (!existsSync("/proc/self/stat"))
    throw new Skipped("there is no /proc: other processes are measured on Linux only");
  return readFileSync(`/proc/${pid}/${file}`, "utf8");
}
