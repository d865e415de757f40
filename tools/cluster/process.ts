// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs programs for the tests: short ones to their end, and servers that must not outlive the process that runs them.
// Invariant: when this process ends, by any means, every server started here is killed and every folder given to
// `removeAtOurEnd` is removed.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

/**
 * Starts a program together with a watchdog that sits on a pipe from this process. The pipe closes when this process ends,
 * even by SIGKILL, and then the watchdog kills the program. The program's id is written to descriptor 3.
 */
const WATCHED = `
exec 4<&0
"$@" 3>&- 4<&- </dev/null &
child=$!
echo "$child" >&3
exec 3>&-
(read -r _ <&4; kill -9 "$child" 2>/dev/null) &
watchdog=$!
wait "$child"
code=$?
kill "$watchdog" 2>/dev/null
exit "$code"
`;

/** Waits for the same pipe to close, then runs a program. */
const LAST_WILL = `
read -r _
exec "$@"
`;

/** The servers that write into the folder may take a moment to be gone. */
const REMOVE = `
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && exit; sleep 0.2; done
`;

export interface ServerOptions {
  readonly file: string;
  readonly args: readonly string[];
  /** File to which standard output and standard error are appended. */
  readonly logPath: string;
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running server. */
export interface Server {
  readonly pid: number;
  readonly logPath: string;
  /** Fulfilled with the exit code when it has ended: 128 and the signal's number for one that a signal ended. */
  readonly exited: Promise<number>;
  readonly hasExited: () => boolean;
  /** Sends it a signal; does nothing once it has ended. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** The last lines of its log, for an error's text. */
  readonly lastLines: (count?: number) => string;
}

/** Starts a server that dies with this process. It has a session of its own: Ctrl-C does not reach it. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const log = openSync(options.logPath, "a");
  const shell = spawn("sh", ["-c", WATCHED, "sh", options.file, ...options.args], {
    detached: true,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", log, log, "pipe"],
  });
  closeSync(log);
  let ended = false;
  const exited = new Promise<number>((resolve) => {
    shell.once("exit", (code) => {
      ended = true;
      resolve(code ?? 137);
    });
  });
  const pid = await readPid(shell);
  return {
    pid,
    logPath: options.logPath,
    exited,
    hasExited: () => ended,
    signal: (signal) => {
      if (!ended) sendSignal(pid, signal);
    },
    lastLines: (count = 20) => readFileSync(options.logPath, "utf8").trimEnd().split("\n").slice(-count).join("\n"),
  };
}

/** Stops a server's process; resolves once the kernel has stopped every thread of it. */
export async function freezeServer(server: Server): Promise<void> {
  server.signal("SIGSTOP");
  while (!server.hasExited() && !isStopped(server.pid)) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Ends a server: SIGTERM, and SIGKILL when it is not gone after `graceMs`; with 0 SIGKILL at once. */
export async function stopServer(server: Server, graceMs: number): Promise<void> {
  if (graceMs > 0) server.signal("SIGTERM");
  const kill = setTimeout(() => server.signal("SIGKILL"), graceMs);
  // A stopped process takes SIGTERM only when it goes on.
  server.signal("SIGCONT");
  await server.exited;
  clearTimeout(kill);
}

/** Sees to it that a folder is gone once this process has ended, however it ends. Returns how to call that off. */
export function removeAtOurEnd(folder: string): () => void {
  return runAtOurEnd(["sh", "-c", REMOVE, "sh", folder]);
}

/** Runs a program once this process has ended, however it ends. Returns how to call that off. */
export function runAtOurEnd(command: readonly string[]): () => void {
  const executor = spawn("sh", ["-c", LAST_WILL, "sh", ...command], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Neither the executor nor its pipe may keep this process from ending.
  executor.unref();
  (executor.stdin as unknown as { unref(): void }).unref();
  return () => executor.kill("SIGKILL");
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Given on standard input; default: an empty one. */
  readonly input?: string;
  /** Default: 120,000. The program is killed then. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs a program to its end. Rejects only when it can't be started or takes too long, never for its exit code. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { env, input = "", timeoutMs = 120_000 } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr, code: 0 });
        else if (typeof error.code === "number") resolve({ stdout, stderr, code: error.code });
        else reject(new Error(`${[file, ...args].join(" ")}: ${error.message}`, { cause: error }));
      },
    );
    // A program that ends without reading its input is not an error of ours.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

async function readPid(shell: ChildProcess): Promise<number> {
  const pipe = shell.stdio[3] as Readable;
  const failed = once(shell, "error").then(([error]) => Promise.reject(error));
  const printed = await Promise.race([text(pipe), failed]);
  const pid = Number.parseInt(printed, 10);
  if (!Number.isInteger(pid)) throw new Error(`the shell printed no process id: ${JSON.stringify(printed)}`);
  return pid;
}

/** The state of a thread follows the program's name, which stands in parentheses. */
function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((task) =>
    /\) T [^)]*$/.test(readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8")),
  );
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
