// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The operator as a process of its own, as users run it: from source or from the bundle.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.ts";

const ROOT = join(import.meta.dirname, "../..");
/** For an answer of a process that may be frozen. */
const ANSWER_MS = 60_000;

/** A line of the log by its fields; its text is for people, no test depends on it. */
export interface LogLine {
  level: string;
  [field: string]: unknown;
}

export interface OperatorOptions {
  kubeconfig: string;
  relay: string;
  /** Takes part in leader election; default false. */
  leaderElection?: boolean;
  /** Default `run`. */
  command?: "run" | "collect";
  /** More flags of `run`. */
  args?: string[];
  /** More environment, such as PVO_REPORTS_MIN_INTERVAL_MS. */
  env?: Record<string, string>;
  /** Node's flags and the program; default: the source, with no flags. */
  program?: readonly string[];
}

/** A running operator. */
export class OperatorProcess {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  stderr = "";

  constructor(options: OperatorOptions) {
    const args = [
      ...(options.program ?? [join(ROOT, "src", "main.ts")]),
      ...[options.command ?? "run", "--kubeconfig", options.kubeconfig, "--relay-address", options.relay],
      ...["--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.1:0"],
      ...(options.leaderElection ? [] : ["--no-leader-elect"]),
      ...(options.args ?? []),
    ];
    const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], ...options.env };
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env });
    if (this.child.stdout) {
      createInterface(this.child.stdout).on("line", (line) => this.log.push(JSON.parse(line) as LogLine));
    }
    this.child.stderr?.on("data", (text: Buffer) => {
      this.stderr += text.toString();
    });
  }

  /** Resolves with the first line of the log that `matches`. */
  waitForLine(matches: (line: LogLine) => boolean): Promise<LogLine> {
    return eventually(`${matches}; ${this.log.length} lines in the log; ${this.stderr}`, () => this.log.find(matches));
  }

  /** Waits until a series, named as for `readMetric`, has this value. */
  async waitForMetric(name: string, value: number, timeoutMs?: number): Promise<void> {
    await eventually(`${name} of ${value}`, async () => (await this.readMetric(name)) === value, timeoutMs);
  }

  /** Waits until it leads. */
  async waitUntilLeading(): Promise<void> {
    await this.waitForMetric("leader", 1);
  }

  /** Resolves with the exit code once the process has ended by itself. */
  async waitForExit(): Promise<number> {
    return await eventually("the end of the process", () => this.child.exitCode ?? undefined);
  }

  /** HOST:PORT of the metrics server, once it listens. */
  async getMetricsAddress(): Promise<string> {
    return `127.0.0.1:${await this.#getPort("metricsPort")}`;
  }

  async #getPort(of: "metricsPort" | "healthPort"): Promise<number> {
    return (await this.waitForLine((line) => of in line))[of] as number;
  }

  /** GETs `/metrics` or a probe, each from its own port. */
  async get(path: string): Promise<{ status: number; body: string }> {
    const port = await this.#getPort(path === "/metrics" ? "metricsPort" : "healthPort");
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) });
    return { status: response.status, body: await response.text() };
  }

  /** Every series of /metrics by its name and labels, as printed. */
  async readMetrics(): Promise<Map<string, number>> {
    const { body } = await this.get("/metrics");
    const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** One series, named with its labels as Prometheus prints them; without them the sum of all series. */
  async readMetric(name: string): Promise<number> {
    const metrics = await this.readMetrics();
    const full = `policy_violation_${name}`;
    const exact = metrics.get(full);
    if (exact !== undefined) return exact;
    const series = [...metrics].filter(([key]) => key.startsWith(`${full}{`));
    if (series.length === 0) throw new Error(`no metric ${full}`);
    return series.reduce((sum, [, value]) => sum + value, 0);
  }

  /** Resident memory, in bytes. */
  async readMemory(): Promise<number> {
    return (await this.readMetrics()).get("process_resident_memory_bytes") ?? 0;
  }

  /** Waits until the stream is open. */
  async streamOpen(): Promise<void> {
    await this.waitForMetric("stream_up", 1);
  }

  /** Waits until the counters say that `count` alerts came in. */
  async waitForReceived(count: number): Promise<void> {
    await eventually(`${count} alerts received`, async () => (await this.readMetric("alerts_received_total")) >= count);
  }

  /** Waits until every counted alert is written. */
  async waitForWritten(timeoutMs = 60_000): Promise<void> {
    await this.waitForMetric("unwritten_occurrences", 0, timeoutMs);
  }

  /** Waits until `count` alerts came in and every counted one is written. */
  async waitForReported(count: number): Promise<void> {
    await this.waitForReceived(count);
    await this.waitForWritten();
  }

  /** Sends SIGTERM and returns the exit code. */
  async stop(): Promise<number | null> {
    return await this.#end("SIGTERM");
  }

  async kill(): Promise<number | null> {
    return await this.#end("SIGKILL");
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exit = once(this.child, "exit");
    this.child.kill(signal);
    return ((await exit) as [number | null])[0];
  }
}

/** The counters of a running operator, checked against their law. */
export async function readReconciledCounters(
  operator: OperatorProcess,
): Promise<{ received: number; counted: number }> {
  const all = await operator.readMetrics();
  const value = (name: string) => all.get(`policy_violation_${name}`) ?? 0;
  const rejected = [...all]
    .filter(([name]) => name.startsWith("policy_violation_alerts_rejected_total"))
    .reduce((sum, [, n]) => sum + n, 0);
  const received = value("alerts_received_total");
  const counted = value("alerts_counted_total");
  const accounted = counted + value("alerts_duplicate_total") + value("throttle_notices_total") + rejected;
  if (received !== accounted) throw new Error(`counters do not balance: ${received} received, ${accounted} accounted`);
  return { received, counted };
}
