// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The main job through a real KubeArmor relay: node, relay, `run` as a process, a real API server.
//
// What the relay does with an alert that it can't pass on at once shows here, too: it holds 1000 for the whole cluster
// and 1000 for each client, drops the rest silently. So a test that wants every alert keeps few on their way.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { makeAlert, readAlerts, restamp } from "../../tools/kubearmor-node/alerts.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLE_REPORTS, SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { findMtlsRelayObstacle } from "../support/mtls.ts";
import { OperatorProcess, readReconciledCounters } from "../support/operator.ts";
import { useCluster } from "../support/real-parts.ts";
import { findRelayObstacle, type Relay, startRelay } from "../support/relay.ts";
import { listReports, report, row, sumOccurrences } from "../support/reports.ts";

// The relay can't be had in CI: without it these tests are skipped there, too.
const missing = findRelayObstacle() ?? (process.env["CI"] ? undefined : findClusterObstacle());
const POLICY = "block-pkg-mgmt-tools-exec";
/** Those without a time get one, lest they differ by when they arrive. */
const SAMPLES = readAlerts(SAMPLES_PATH).map((alert, i) =>
  alert.UpdatedTime || alert.Timestamp ? alert : restamp(alert, 1_700_000_000_000_000 + i),
);
const FLOOD = SAMPLES[0]!;
/** Alerts during a halt: more than twice the bytes of the operator's window. */
const HALTED = 15_000;
/** Is rejected, for it has no policy: it shows that alerts come through, and makes no report. */
const PROBE = makeAlert({ PolicyName: "" });

const NAME = `run behind a real relay (${missing ?? "real parts"})`;

describe.skipIf(missing !== undefined)(NAME, { timeout: 120_000 }, () => {
  const cluster = useCluster({ crds: true });
  let relay: Relay;
  let operator: OperatorProcess;

  beforeAll(async () => {
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
  });

  afterEach(async () => {
    await operator?.kill();
    await relay?.stop();
    await deleteReports();
  });

  async function deleteReports(): Promise<void> {
    await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
    await cluster.kubectl(["delete", "cpvr", "--all", "--wait=true"]);
  }

  function startOperator(address: string): void {
    const env = { PVO_FEED_RELAY_RECONNECT_MAX_MS: "500" };
    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: address, env });
  }

  /** Starts relay and operator; resolves when an alert of the node would reach the operator. */
  async function start(): Promise<void> {
    relay = await startRelay(cluster);
    startOperator(relay.address);
    await waitForStream();
  }

  /** Received requests: probes, and all others. */
  async function countArrived(): Promise<{ probes: number; alerts: number }> {
    const metrics = await operator.readMetrics();
    const probes = metrics.get('policy_violation_alerts_rejected_total{reason="no_policy"}')!;
    return { probes, alerts: metrics.get("policy_violation_alerts_received_total")! - probes };
  }

  /**
   * Resolves when a probe has come through that was sent now. An open stream does not say so much: the relay answers
   * health checks a moment before it has noted the client. Probes of an earlier call must have come or be lost, as
   * they are when any alert sent after them has come.
   */
  async function waitForStream(): Promise<void> {
    const { probes } = await countArrived();
    await eventually("a probe from the node", async () => {
      relay.node.push(PROBE);
      return (await countArrived()).probes > probes;
    });
  }

  /** Number of received alerts of those that were sent so far: the rest is lost, for alerts do not overtake each other. */
  async function countArrivedAlerts(): Promise<number> {
    await waitForStream();
    return (await countArrived()).alerts;
  }

  /** Sends up to 5,000 alerts a second, with at most 750 on their way: `before` came in earlier. */
  async function sendAll(count: number, before: number): Promise<void> {
    for (let sent = 0; sent < count; ) {
      sent += await relay.node.flood({ alert: FLOOD, count: 250, ratePerSec: 5000 });
      await eventually("few alerts on their way", async () => before + sent - (await countArrived()).alerts <= 500);
    }
    await eventually("all alerts", async () => (await countArrived()).alerts >= before + count);
  }

  /** Waits until that many are written; the relay reports no loss, so no gap is declared. */
  async function expectReported(occurrences: number): Promise<void> {
    await operator.waitForWritten();
    const found = await report(cluster, "default", POLICY);
    expect(found?.summary.occurrences).toBe(occurrences);
    expect(found?.coverage).toMatchObject({ gaps: 0, lowerBound: false });
    expect((await readReconciledCounters(operator)).counted).toBe(occurrences);
  }

  test("with mutual TLS from node to relay and from relay to operator: every alert is counted", async () => {
    expect(await findMtlsRelayObstacle()).toBeUndefined();
    const dir = mkdtempSync(join(cluster.dir, "tls-"));
    relay = await startRelay(cluster, dir);
    operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: relay.address,
      env: {
        PVO_FEED_RELAY_TLS_MODE: "files",
        PVO_FEED_RELAY_TLS_FILES_CA: join(dir, "ca.crt"),
        PVO_FEED_RELAY_TLS_FILES_CERTIFICATE: join(dir, "client.crt"),
        PVO_FEED_RELAY_TLS_FILES_PRIVATE_KEY: join(dir, "client.key"),
      },
    });
    await waitForStream();
    await sendAll(2_000, 0);
    await expectReported(2000);
    expect(await operator.waitForLine((line) => "security" in line)).toMatchObject({ security: "tls" });
  });

  test("the 26 samples become the same 23 reports as without the relay", async () => {
    relay = await startRelay(cluster);
    const story = async () => {
      relay.node.push(SAMPLES);
      await eventually("26 alerts", async () => (await countArrived()).alerts === 26);
      await operator.waitForWritten();
      return await listReports(cluster);
    };
    const content = ({ policy, summary, violations, omitted }: Awaited<ReturnType<typeof story>>[number]) => ({
      policy,
      summary,
      violations,
      omitted,
    });
    startOperator(relay.node.address);
    await relay.node.waitForClients(2);
    const direct = await story();
    await operator.kill();
    await deleteReports();

    startOperator(relay.address);
    await waitForStream();
    const reports = await story();
    expect(reports.map(row)).toEqual(SAMPLE_REPORTS);
    expect(reports.map(content)).toEqual(direct.map(content));
    expect(sumOccurrences(reports)).toBe(25);
    expect((await readReconciledCounters(operator)).counted).toBe(25);
  });

  test.each([
    ["SIGKILL", 137],
    ["SIGTERM", 0],
  ] as const)("a relay ended by %s and started again: exact, with the gaps declared", async (signal, exitCode) => {
    await start();
    await sendAll(1000, 0);
    expect(await operator.readMetric("stream_gaps_total")).toBe(0);

    expect(await relay.end(signal)).toBe(exitCode);
    await eventually("the stream lost", async () => (await operator.readMetric("stream_up")) === 0);
    expect(await operator.readMetric("stream_gaps_total")).toBe(1);
    await relay.node.flood({ alert: FLOOD, count: 100 });
    expect(relay.node.getStats().unheard).toBe(100);
    await relay.start();
    await waitForStream();
    await sendAll(1000, 1000);
    expect(await countArrivedAlerts()).toBe(2000);
    expect(relay.printed(POLICY)).toBe(2000);

    // Once more while alerts are on their way: those that the relay had in hand are lost.
    const over = new AbortController();
    const flooding = relay.node.flood({ alert: FLOOD, ratePerSec: 1000, signal: over.signal });
    await eventually("alerts before the end", async () => (await countArrived()).alerts >= 2500);
    expect(await relay.end(signal)).toBe(exitCode);
    await eventually("the second gap", async () => (await operator.readMetric("stream_gaps_total")) === 2);
    const beforeRestart = (await countArrived()).alerts;
    await relay.start();
    await eventually("alerts again", async () => (await countArrived()).alerts >= beforeRestart + 500);
    over.abort();
    const pushed = 2100 + (await flooding);
    const occurrences = await countArrivedAlerts();
    expect(relay.printed(POLICY)).toBeGreaterThanOrEqual(occurrences);
    expect(relay.printed(POLICY)).toBeLessThan(pushed);

    await operator.waitForWritten();
    const found = await report(cluster, "default", POLICY);
    expect(found?.summary).toMatchObject({ occurrences, prevented: occurrences, violations: 1, pods: 1 });
    expect(found?.coverage).toMatchObject({ gaps: 2, lowerBound: true });
    expect(found?.coverage.continuousSince).toBeDefined();
    expect((await readReconciledCounters(operator)).counted).toBe(occurrences);
    const metrics = await operator.readMetrics();
    expect(metrics.get('policy_violation_stream_disconnects_total{reason="error"}')).toBe(2);
    expect(await operator.readMetric("stream_gap_seconds_total")).toBeGreaterThan(0);
    expect(metrics.get("policy_violation_stream_up")).toBe(1);
  });

  test("a node lost and found again by the relay: counting goes on, but the relay does not report the gap", async () => {
    await start();
    await sendAll(500, 0);
    await relay.node.stop();
    await relay.node.start();
    await relay.node.flood({ alert: FLOOD, count: 100 });
    expect(relay.node.getStats().unheard).toBe(100);
    await waitForStream();
    await sendAll(500, 500);
    expect(await countArrivedAlerts()).toBe(1000);
    expect(relay.printed(POLICY)).toBe(1000);
    await expectReported(1000);
  });

  test("20,000 alerts at a pace that the relay bears arrive whole", async () => {
    await start();
    await sendAll(20_000, 0);
    expect(await countArrivedAlerts()).toBe(20_000);
    expect(relay.printed(POLICY)).toBe(20_000);
    await expectReported(20_000);
  });

  test("a burst of 5,000 at once: what the relay passes on is counted, what it drops is unknown", async () => {
    await start();
    await relay.node.flood({ alert: FLOOD, count: 5000 });
    await relay.node.waitUntilDrained();
    await eventually("the first of them", async () => (await countArrived()).alerts > 0);
    const occurrences = await countArrivedAlerts();
    const printed = relay.printed(POLICY);
    expect(printed).toBeLessThanOrEqual(5000);
    expect(occurrences).toBeLessThanOrEqual(printed);
    await expectReported(occurrences);
  });

  test("an operator that is halted for a moment loses in the relay, on a stream that stays open", async () => {
    await start();
    operator.child.kill("SIGSTOP");
    try {
      // Slow enough for the relay, which takes up every one, and has room for a part of them.
      for (let sent = 0; sent < HALTED; ) {
        sent += await relay.node.flood({ alert: FLOOD, count: 500 });
        await eventually("the relay takes them up", () => relay.printed(POLICY) === sent);
      }
    } finally {
      operator.child.kill("SIGCONT");
    }
    await eventually("the first of them", async () => (await countArrived()).alerts > 0);
    const occurrences = await countArrivedAlerts();
    // At least the relay's 1000, and the operator's window of 4 MiB.
    expect(occurrences).toBeGreaterThanOrEqual(1000);
    expect(occurrences).toBeLessThan(HALTED);
    await expectReported(occurrences);
  });
});
