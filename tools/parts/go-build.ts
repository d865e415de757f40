// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds one real part with the machine's own Go, and reports its progress.
// Invariant: a binary gets its name only when it is whole; the machine's Go settings (proxy, flags, caches) hold.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PartName, PartSource } from "./catalog.ts";
import { isAlive } from "./lock.ts";

/** Receives a line of progress. */
export type OnProgress = (line: string) => void;

const PROGRESS_INTERVAL_MS = 15_000;

/** The version of the `go` on the PATH, as in `go1.26.8`; undefined where there is none. */
export function goVersion(): string | undefined {
  const go = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  return go.status === 0 ? go.stdout.trim() : undefined;
}

/**
 * Builds a part and puts it at `target`. A line every 15 s has the time and the number of compiled packages.
 * Rejects with what `go` said. An interrupted build leaves nothing but Go's own build cache, from which the next one
 * goes on.
 */
export async function buildPart(
  name: PartName,
  source: PartSource,
  target: string,
  onProgress: OnProgress,
): Promise<void> {
  const folder = dirname(target);
  mkdirSync(folder, { recursive: true });
  removeLeftovers(folder);
  const unfinished = join(folder, `.${name}.${process.pid}`);
  const args = [
    "build",
    "-v",
    "-trimpath",
    ...(source.tags === undefined ? [] : ["-tags", source.tags.join(",")]),
    "-ldflags",
    ["-s", "-w", ...source.linkerValues.flatMap((value) => ["-X", value])].join(" "),
    "-o",
    unfinished,
    source.goPackage,
  ];
  try {
    await runGo(name, args, source.moduleDir, onProgress);
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Files that a killed build may have left: Go writes the file in place, so half of one can be there. */
function removeLeftovers(folder: string): void {
  for (const file of readdirSync(folder)) {
    const pid = /^\..+\.(\d+)$/.exec(file)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, file), { force: true });
  }
}

function runGo(name: PartName, args: string[], cwd: string, onProgress: OnProgress): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    // A go.work further up would take the module out of its own hands.
    const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off" };
    const go = spawn("go", args, { cwd, env, stdio: ["ignore", "ignore", "pipe"] });
    const seen = new GoOutput();
    go.stderr.setEncoding("utf8").on("data", (text: string) => seen.add(text));
    const timer = setInterval(
      () => onProgress(`${name}: ${formatElapsed(startedMs)}, ${seen.summarize()}`),
      PROGRESS_INTERVAL_MS,
    );
    const stop = () => go.kill("SIGTERM");
    process.once("exit", stop);
    const end = () => {
      clearInterval(timer);
      process.off("exit", stop);
    };
    go.on("error", (error) => {
      end();
      reject(error);
    });
    go.on("close", (code) => {
      end();
      if (code === 0) resolve();
      else reject(new Error(`go build failed: ${seen.getComplaints() || `exit code ${code}`}`));
    });
  });
}

/** Sorts what `go build -v` says into downloads, names of compiled packages, and complaints. */
class GoOutput {
  #rest = "";
  #packages = 0;
  #downloads = 0;
  #latest = "";
  #other: string[] = [];

  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#readLine(line);
  }

  summarize(): string {
    if (this.#packages > 0) return `${this.#packages} packages compiled, now at ${this.#latest}`;
    return this.#downloads > 0 ? `${this.#downloads} modules downloaded` : "go is loading packages or linking";
  }

  /** The last lines that are neither: enough to see what is wrong, and never a flood. */
  getComplaints(): string {
    return [...this.#other, this.#rest]
      .filter((line) => line !== "")
      .slice(-10)
      .join("\n");
  }

  #readLine(line: string): void {
    if (line.startsWith("go: downloading ")) this.#downloads += 1;
    else if (/^[\w.~/-]+$/.test(line)) {
      this.#packages += 1;
      this.#latest = line;
    } else this.#other.push(line);
  }
}

/** The time since `startedMs`, for people: `7 s`, `3 min 20 s`. */
export function formatElapsed(startedMs: number): string {
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
