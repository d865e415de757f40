// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A child process that reads one JSON object a line and answers so.
// Invariant: it ends when its standard input does, so it never outlives this process, and no answer is waited for
// longer than its time limit.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** A child's answer; its fields depend on the child. */
export type Line = Readonly<Record<string, unknown>>;

export interface JsonProcessOptions {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

interface Waiter {
  readonly field: string;
  readonly resolve: (line: Line) => void;
  readonly reject: (error: Error) => void;
}

export class JsonProcess {
  static readonly #running = new Set<JsonProcess>();
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #exited: Promise<void>;
  readonly #unread: Line[] = [];
  #waiters: Waiter[] = [];
  #stderr = "";
  #ended: string | undefined;

  constructor({ file, args, env }: JsonProcessOptions) {
    this.#name = [file, ...args].join(" ");
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
    this.#exited = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        JsonProcess.#running.delete(this);
        this.#end(`ended with ${signal ?? code}`);
        resolve();
      });
      this.#child.once("error", (error) => {
        JsonProcess.#running.delete(this);
        this.#end(error.message);
        resolve();
      });
    });
    JsonProcess.#running.add(this);
    // The end of a child is reported.
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-4000);
    });
    createInterface(this.#child.stdout).on("line", (line) => this.#take(JSON.parse(line) as Line));
  }

  /** Stops those that are still there: what has failed may not have come to it. */
  static async stopAll(): Promise<void> {
    await Promise.all([...JsonProcess.#running].map((process) => process.stop()));
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.#name}: not started`);
    return pid;
  }

  /** The outcome of `promise`, or the child's failure when it ends first. */
  async waitWhileAlive<T>(promise: Promise<T>): Promise<T> {
    const ended = this.#exited.then(() => {
      throw this.#createFailure(this.#ended ?? "ended");
    });
    return await Promise.race([promise, ended]);
  }

  order(command: Line): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** The next line that has `field`; lines without it that came before are forgotten. Rejects after `timeoutMs`. */
  readNext(field: string, timeoutMs = 120_000): Promise<Line> {
    for (let line = this.#unread.shift(); line !== undefined; line = this.#unread.shift()) {
      if (field in line) return Promise.resolve(line);
    }
    if (this.#ended !== undefined) return Promise.reject(this.#createFailure(this.#ended));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#createFailure(`no line with ${field} in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          act(value);
        };
      this.#waiters.push({ field, resolve: settle(resolve), reject: settle(reject) });
    });
  }

  /** Sends a command and waits for the line that answers it. */
  ask(command: Line, field: string, timeoutMs?: number): Promise<Line> {
    const answer = this.readNext(field, timeoutMs);
    this.order(command);
    return answer;
  }

  /** Closes its standard input, and kills it when it is still there after a second. */
  async stop(): Promise<void> {
    this.#child.stdin.end();
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), 1000);
    await this.#exited;
    clearTimeout(kill);
  }

  #take(line: Line): void {
    const waiter = this.#waiters.find(({ field }) => field in line);
    if (waiter === undefined) {
      this.#unread.push(line);
      return;
    }
    this.#waiters = this.#waiters.filter((each) => each !== waiter);
    waiter.resolve(line);
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#createFailure(this.#ended));
  }

  #createFailure(reason: string): Error {
    return new Error(`${this.#name}: ${reason}${this.#stderr === "" ? "" : `: ${this.#stderr.trim()}`}`);
  }
}
