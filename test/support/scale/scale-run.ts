// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers and owners as processes, on a real API server, a real NATS server and KubeArmor nodes that know every alert
// they raised.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { parseMicroTime } from "../../../src/lib/time.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { applyDaemonPod, DAEMON_PORT } from "../../../tools/cluster/kubearmor-pods.ts";
import { makeAlert, spread, type WireAlert } from "../../../tools/kubearmor-node/alerts.ts";
import { KEEPALIVE, type KubeArmorNode } from "../../../tools/kubearmor-node/node.ts";
import { startNode } from "../../../tools/kubearmor-node/server.ts";
import { eventually } from "../eventually.ts";
import { OperatorProcess } from "../operator.ts";
import { listReports, sumOccurrences } from "../reports.ts";
import type { ProcessNetwork } from "./process-network.ts";

/** No namespace of the cluster: its alerts belong in cluster reports. */
const ABSENT = "absent";
const ALERTS = ["shop", "bank", ABSENT].flatMap((NamespaceName) =>
  ["one", "two", "three", "four"].flatMap((PolicyName) => spread([makeAlert({ NamespaceName, PolicyName })], 2, 2)),
);

interface Raised {
  us: number;
  /** Namespace and policy. */
  report: string;
}

export interface ScaleRunOptions {
  cluster: Cluster;
  nats: { url: string };
  /** Of the stream. */
  replicas?: number;
  nodes?: number;
  /** Alerts a second, of each node. */
  ratePerSec?: number;
  /** After this time without a renewal another process takes what a killed one held. */
  leaseMs?: number;
  /** Second part of the nodes' addresses, different in each test file. */
  network?: number;
}

export class ScaleRun {
  readonly readers: OperatorProcess[] = [];
  readonly owners: OperatorProcess[] = [];
  readonly nodes: KubeArmorNode[] = [];
  readonly raised: Raised[] = [];
  readonly #options: Required<ScaleRunOptions>;
  readonly #end = new AbortController();
  /** Gaps by report. */
  readonly #gaps = new Map<string, Map<string, [number, number]>>();
  #floods: Promise<unknown>[] = [];
  #started = 0;
  #lastUs = 0;

  constructor(options: ScaleRunOptions) {
    this.#options = { replicas: 1, nodes: 3, ratePerSec: 100, leaseMs: 3000, network: 78, ...options };
  }

  /** Starts the nodes and creates their pods. */
  async start(): Promise<void> {
    const { cluster, nodes, network } = this.#options;
    for (let i = 1; i <= nodes; i++) {
      const ip = `127.${network}.0.${i}`;
      const options = { host: ip, port: DAEMON_PORT, dropLikeKubeArmor: false, keepalive: KEEPALIVE.daemon };
      this.nodes.push(await startNode(options));
      await applyDaemonPod(cluster, { name: `kubearmor-${i}`, ip, node: `scale-node-${i}` });
    }
  }

  startReader(env: Record<string, string> = {}, network?: ProcessNetwork): OperatorProcess {
    const reader = this.#startProcess("collect", env, network);
    this.readers.push(reader);
    return reader;
  }

  startOwner(env: Record<string, string> = {}, network?: ProcessNetwork): OperatorProcess {
    const owner = this.#startProcess("run", { PVO_SCALE_ENABLED: "true", ...env }, network);
    this.owners.push(owner);
    return owner;
  }

  /** Resolves when every node is read. */
  async waitUntilRead(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.waitForClients(1)));
  }

  /** Begins to raise alerts on every node. */
  startFlood(): void {
    const { signal } = this.#end;
    const { ratePerSec } = this.#options;
    const vary = (alert: WireAlert) => this.#stampAlert(alert);
    this.#floods = this.nodes.map((node) => node.flood({ alert: ALERTS, vary, stamp: false, ratePerSec, signal }));
  }

  /** Ends the flood. */
  async stopFlood(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#floods);
  }

  async listReports(): Promise<Report[]> {
    return await listReports(this.#options.cluster);
  }

  /** Waits until the sum of the reports does not move any more for `quietMs`, and returns it. */
  async waitUntilSettled(quietMs = 8000): Promise<number> {
    let last = -1;
    let sinceMs = Date.now();
    await eventually(
      "reports that do not change",
      async () => {
        const now = sumOccurrences(await this.listReports());
        if (now !== last) sinceMs = Date.now();
        last = now;
        return Date.now() - sinceMs > quietMs;
      },
      180_000,
    );
    return last;
  }

  /** Notes the gaps that the reports declare now: of many they list the newest. */
  async noteGaps(): Promise<void> {
    for (const { metadata, policy, coverage } of await this.listReports()) {
      const key = `${metadata.namespace}/${policy.name}`;
      const gaps = this.#gaps.get(key) ?? new Map<string, [number, number]>();
      for (const { kind, from, to } of coverage.recent ?? [])
        gaps.set(`${kind} ${from}`, [parseMicroTime(from) ?? 0, parseMicroTime(to ?? "") ?? Number.POSITIVE_INFINITY]);
      this.#gaps.set(key, gaps);
    }
  }

  /** Alerts raised at a time that the report of their policy declares as a gap. */
  async countDeclared(): Promise<number> {
    await this.noteGaps();
    return this.raised.filter((alert) => this.#isDeclared(alert)).length;
  }

  /** Reports with more alerts than were raised, or with fewer and no gap that says so. */
  async findProblems(): Promise<string[]> {
    await this.noteGaps();
    const reported = new Map(
      (await this.listReports()).map((one) => [
        `${one.metadata.namespace}/${one.policy.name}`,
        one.summary.occurrences,
      ]),
    );
    return [...Map.groupBy(this.raised, ({ report }) => report)].flatMap(([report, raised]) => {
      const count = reported.get(report) ?? 0;
      const declared = raised.filter((alert) => this.#isDeclared(alert)).length;
      return count <= raised.length && raised.length - count <= declared
        ? []
        : [`${report}: ${raised.length} raised, ${count} reported, ${declared} in gaps`];
    });
  }

  #isDeclared({ us, report }: Raised): boolean {
    const gaps = this.#gaps.get(report)?.values() ?? [];
    return [...gaps].some(([from, to]) => from <= us && us <= to);
  }

  async stop(): Promise<void> {
    await this.stopFlood();
    for (const one of [...this.readers, ...this.owners]) await one.kill();
    for (const node of this.nodes) await node.stop();
    const { cluster } = this.#options;
    await cluster.kubectl(["delete", "pods", "-n", "kubearmor", "--all", "--grace-period=0", "--force"]);
    await cluster.kubectl(["delete", "pvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "cpvr", "--all"]);
    await cluster.kubectl(["delete", "leases", "-n", "kubearmor", "--all"]);
  }

  #stampAlert(alert: WireAlert): WireAlert {
    const nowUs = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    this.#lastUs = Math.max(this.#lastUs + 1, nowUs);
    const us = this.#lastUs;
    const namespace = alert.NamespaceName === ABSENT ? undefined : alert.NamespaceName;
    this.raised.push({ us, report: `${namespace}/${alert.PolicyName}` });
    const ms = Math.floor(us / 1000);
    const time = new Date(ms).toISOString().replace("Z", `${String(us % 1000).padStart(3, "0")}Z`);
    return { ...alert, UpdatedTime: time, Timestamp: Math.floor(ms / 1000) };
  }

  #startProcess(command: "run" | "collect", env: Record<string, string>, network?: ProcessNetwork): OperatorProcess {
    const { cluster, nats, replicas, leaseMs } = this.#options;
    const id = ++this.#started;
    return new OperatorProcess({
      command,
      kubeconfig: network?.kubeconfig ?? cluster.kubeconfigPath,
      relay: "127.0.0.1:1",
      leaderElection: true,
      env: {
        PVO_IDENTITY: `${command}-${id}`,
        PVO_SCALE_NATS_URL: network?.natsUrl ?? nats.url,
        PVO_SCALE_NATS_REPLICAS: String(replicas),
        PVO_SCALE_SHARDS: "4",
        PVO_SCALE_PARTITIONS: "4",
        PVO_LEADER_ELECTION_LEASE_DURATION_MS: String(leaseMs),
        PVO_LEADER_ELECTION_RENEW_DEADLINE_MS: String((leaseMs / 3) * 2),
        PVO_LEADER_ELECTION_RETRY_PERIOD_MS: "500",
        PVO_REPORTS_MIN_INTERVAL_MS: "500",
        PVO_REPORTS_MAX_INTERVAL_MS: "2000",
        PVO_FEED_RELAY_TLS_MODE: "off",
        PVO_EVENTS_ENABLED: "false",
        ...env,
      },
    });
  }
}
