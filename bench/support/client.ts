// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The clients of the alert source, each a process of its own that measures itself.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readImageEnv } from "../../test/support/image-env.ts";
import type { AlertSource, SendOptions } from "./alert-source.ts";
import { JsonProcess, type JsonProcessOptions } from "./json-process.ts";

/**
 * `bare`: grpc-js with default options, which discards the bytes.
 * `pipeline`: everything that `run` does with an alert, writer and journal on, into a store that answers at once, in a
 * process as the image starts it.
 * `reader`: the same without both, so that nothing is done that goes with the time and not with the alerts.
 * `go-discard`: a grpc-go client that discards the bytes, which shows how much the server can send.
 */
export type ClientKind = "bare" | "pipeline" | "reader" | "go-discard";

/** Time and processor time of a client, from the first alert to the last. */
export interface Taken {
  readonly received: number;
  readonly elapsedMs: number;
  /** Of the client's process in that time. */
  readonly cpuUs: number;
}

/** Counters of a pipeline. */
export interface PipelineState {
  readonly rssBytes: number;
  /** JavaScript objects and buffers, after a garbage collection. */
  readonly heldBytes: number;
  readonly violations: number;
  readonly reports: number;
  readonly writes: number;
  readonly received: number;
  /** Sent to the journal. */
  readonly journalRows: number;
}

const CLIENTS = join(import.meta.dirname, "../clients");

export class BenchClient {
  readonly #process: JsonProcess;
  readonly #dir: string;

  private constructor(process: JsonProcess, dir: string) {
    this.#process = process;
    this.#dir = dir;
  }

  /** Starts a client and waits until it watches. There must be no other client of the source. */
  static async start(kind: ClientKind, source: AlertSource, program: string): Promise<BenchClient> {
    const dir = mkdtempSync(join(tmpdir(), "pvo-bench-client-"));
    const process = new JsonProcess(getCommand(kind, source.address, program, dir));
    await process.waitWhileAlive(source.clients(1, 60_000));
    return new BenchClient(process, dir);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Has the source send, and resolves when this client has taken everything. Not for sends that drop. */
  async take(source: AlertSource, options: SendOptions, timeoutMs = 300_000): Promise<Taken> {
    await this.#process.ask({ expect: options.count }, "expecting");
    const taken = this.#process.readNext("received", timeoutMs);
    await Promise.all([source.send(options, timeoutMs), taken]);
    return (await taken) as unknown as Taken;
  }

  /** Keeps the main thread of a Node client busy for this part of every second, until its end. */
  async keepBusy(busyMs: number): Promise<void> {
    await this.#process.ask({ stallMs: busyMs }, "stalling");
  }

  /** Of a pipeline only. */
  async readState(): Promise<PipelineState> {
    return (await this.#process.ask({ state: true }, "rssBytes")) as unknown as PipelineState;
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function getCommand(kind: ClientKind, address: string, program: string, dir: string): JsonProcessOptions {
  const runPipeline = (...args: string[]) => ({
    file: process.execPath,
    args: ["--expose-gc", join(CLIENTS, "pipeline.ts"), address, ...args],
    env: readImageEnv(),
  });
  switch (kind) {
    case "bare":
      return { file: process.execPath, args: ["--expose-gc", join(CLIENTS, "bare.ts"), address] };
    case "pipeline":
      return runPipeline(join(dir, "journal.db"));
    case "reader":
      return runPipeline("", "reader");
    case "go-discard":
      return { file: program, args: ["read", "-address", address] };
  }
}
