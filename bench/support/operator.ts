// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator under measurement: the bundle, as the image runs it, against the control plane of the benchmark.
// Invariant: it begins with no report of another scenario's, and ends with this process.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/support/eventually.ts";
import { readImageEnv } from "../../test/support/image-env.ts";
import { OperatorProcess } from "../../test/support/operator.ts";
import type { AlertSource } from "./alert-source.ts";
import { KubeApi } from "./kube-api.ts";
import { makeNamespaces, removeReports } from "./objects.ts";
import type { Bench } from "./scenario.ts";

const PRELOAD = join(import.meta.dirname, "../clients/preload.mjs");

/** Time for which an event loop was blocked, in milliseconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface BenchOperatorOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Measures the delays of the event loop; default false. */
  readonly loopDelay?: boolean;
}

/** Gives a client of the cluster with no reports in it and `namespaces` of the source's. */
export async function emptyCluster(bench: Bench, namespaces: number): Promise<KubeApi> {
  const cluster = await bench.cluster();
  const api = new KubeApi(cluster.kubeconfigPath);
  await removeReports(api);
  await makeNamespaces(api, namespaces);
  return api;
}

export class BenchOperator {
  static readonly #running = new Set<BenchOperator>();
  readonly process: OperatorProcess;
  readonly #loopFile: string;

  private constructor(process: OperatorProcess, loopFile: string) {
    this.process = process;
    this.#loopFile = loopFile;
    BenchOperator.#running.add(this);
  }

  /** Ends those that are still there: what has failed may not have come to it. */
  static async endAll(): Promise<void> {
    await Promise.all([...BenchOperator.#running].map((operator) => operator.end()));
  }

  /** Starts the bundle; resolves at once. */
  static async launch(bench: Bench, source: AlertSource, options: BenchOperatorOptions = {}): Promise<BenchOperator> {
    const cluster = await bench.cluster();
    const loopFile = join(bench.dir, "loop-delay.json");
    // As the chart has it.
    const journal = join(mkdtempSync(join(bench.dir, "operator-")), "journal.db");
    const process = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: source.address,
      program: ["--import", PRELOAD, await bench.bundle()],
      env: {
        PVO_JOURNAL_PATH: journal,
        ...readImageEnv(),
        ...options.env,
        ...(options.loopDelay ? { BENCH_LOOP_FILE: loopFile } : {}),
      },
    });
    return new BenchOperator(process, loopFile);
  }

  /** Starts the bundle; resolves when it reads the source's stream. */
  static async start(bench: Bench, source: AlertSource, options?: BenchOperatorOptions): Promise<BenchOperator> {
    const operator = await BenchOperator.launch(bench, source, options);
    await source.clients(1);
    return operator;
  }

  get pid(): number {
    const { pid } = this.process.child;
    if (pid === undefined) throw new Error(`the operator did not start: ${this.process.stderr}`);
    return pid;
  }

  /** Delays of the event loop since the last call. */
  async readLoopDelay(): Promise<LoopDelay> {
    rmSync(this.#loopFile, { force: true });
    this.process.child.kill("SIGUSR2");
    await eventually("the delays of the event loop", () => existsSync(this.#loopFile));
    return JSON.parse(readFileSync(this.#loopFile, "utf8")) as LoopDelay;
  }

  /** Ends it at once: what is unwritten is of no use to anyone. */
  async end(): Promise<void> {
    BenchOperator.#running.delete(this);
    await this.process.kill();
  }
}
