// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers and owners over real servers, with another number of parts, or without messages that their age removed from the
// stream: each report has every alert that was raised, less those in gaps that it declares.

import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, describe, expect, test } from "vitest";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { findNatsObstacle, NatsServer } from "../../tools/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import { useCluster } from "../support/real-parts.ts";
import { sumOccurrences } from "../support/reports.ts";
import { ScaleRun } from "../support/scale/scale-run.ts";

const STREAM = "policy-violations";
const missing = findClusterObstacle() ?? findNatsObstacle();
const isLeftOut = missing !== undefined && !process.env["CI"];

describe.skipIf(isLeftOut)(`scale (${missing ?? "real parts"})`, { timeout: 400_000 }, () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor", "shop", "bank"] });
  let nats: NatsServer;
  let run: ScaleRun;

  afterEach(async () => {
    await run.stop();
    await nats.stop();
  });

  async function begin(): Promise<void> {
    nats = await NatsServer.start();
    run = new ScaleRun({ cluster, nats, leaseMs: 15_000, network: 79 });
    await run.start();
    run.startReader();
    run.startOwner();
    await run.waitUntilRead();
    run.startFlood();
    await pause(8000);
  }

  async function manageStream(
    manage: (manager: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<unknown>,
  ): Promise<void> {
    const connection = await connect({ servers: nats.url });
    await manage(await jetstreamManager(connection));
    await connection.close();
  }

  async function end(): Promise<number> {
    await pause(8000);
    await run.stopFlood();
    await eventually("every alert reported or declared", async () => (await run.findProblems()).length === 0, 120_000);
    const reported = await run.waitUntilSettled();
    expect(await run.findProblems()).toEqual([]);
    return reported;
  }

  test("with another number of parts count nothing, and all when the stream was deleted", async () => {
    await begin();
    const other = { PVO_SCALE_SHARDS: "6", PVO_SCALE_PARTITIONS: "3" };
    const [reader, owner] = [run.startReader(other), run.startOwner(other)];
    const problem = async () => [...reader.log, ...owner.log].map((line) => String(line["answer"])).join();
    await eventually(
      "an error that names both",
      async () => /scale\.shards/.test(await problem()) && /scale\.partitions/.test(await problem()),
    );
    await pause(5000);
    expect(await reader.readMetric("scale_messages_total")).toBe(0);
    // They leave all parts to those that can work on them.
    const held = [...run.readers, ...run.owners].map((one) => one.readMetric("scale_parts_held"));
    expect(await Promise.all(held)).toEqual([4, 0, 4, 0]);
    for (const one of [reader, owner]) await one.stop();
    await run.readers[0]?.stop();
    await eventually("nothing pending", async () => (await run.owners[0]?.readMetric("unwritten_occurrences")) === 0);
    await run.owners[0]?.stop();
    await manageStream(async (manager) => await manager.streams.delete(STREAM));
    run.startReader(other);
    run.startOwner(other);
    await run.waitUntilRead();
    await end();
  });

  test("declare what the stream removed by its age while no owner ran", async () => {
    await begin();
    await run.owners[0]?.stop();
    await pause(5000);
    // As at max_age: the checkpoints go, too.
    await manageStream(async (manager) => await manager.streams.purge(STREAM));
    await pause(1000);
    run.startOwner();
    const reported = await end();
    expect(reported).toBeLessThan(run.raised.length);
    expect(sumOccurrences(await run.listReports())).toBe(reported);
  });
});
