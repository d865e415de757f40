// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The loss that a client causes by reading slowly: silent for the client, exact for the node.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AlertCounts } from "../../../../tools/kubearmor-node/alert-client.ts";
import { makeAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../../../tools/kubearmor-node/node.ts";
import { startNode } from "../../../../tools/kubearmor-node/server.ts";
import { dial, type LogServiceClient, type Watched } from "./log-service-client.ts";

// Tens of megabytes go over loopback.
vi.setConfig({ testTimeout: 30_000 });

let node: KubeArmorNode;
let client: LogServiceClient;

afterEach(async () => {
  client.close();
  await node.stop();
});

async function openStream(options: Parameters<typeof startNode>[0] = {}): Promise<Watched> {
  node = await startNode(options);
  client = dial(node.address);
  const stream = client.watch("WatchAlerts", "policy");
  await node.waitForClients();
  return stream;
}

function expectToAddUp(counts: AlertCounts): void {
  expect(counts.sent + counts.dropped + counts.queued + counts.abandoned).toBe(counts.offered);
}

describe("a client that stops reading", () => {
  let slow: Watched;

  beforeEach(async () => {
    slow = await openStream();
  });

  it("loses what its queue of 1000 can't hold, and later gets exactly the rest", async () => {
    slow.pause();
    // Large enough that gRPC's own buffers hold few, so the queue decides.
    const alert = makeAlert({ Source: "x".repeat(8_000) });
    await node.flood({ alert, count: 3_000 });
    const blocked = node.clients[0]!;
    expect(blocked.offered).toBe(3_000);
    expect(blocked.queued).toBeGreaterThanOrEqual(1_000);
    expect(blocked.queued).toBeLessThan(1_020);
    expect(blocked.dropped).toBeGreaterThan(1_800);
    expectToAddUp(blocked);

    slow.resume();
    await slow.received(3_000 - blocked.dropped);
    await node.waitUntilDrained();
    expect(node.clients[0]).toMatchObject({
      offered: 3_000,
      sent: 3_000 - blocked.dropped,
      dropped: blocked.dropped,
      queued: 0,
      abandoned: 0,
    });
    expect(slow.alerts).toHaveLength(3_000 - blocked.dropped);
  });

  it("leaves what was queued behind when it goes", async () => {
    slow.pause();
    await node.flood({ alert: makeAlert({ Source: "x".repeat(8_000) }), count: 2_000 });
    slow.cancel();
    await vi.waitFor(() => expect(node.getStats().clients).toBe(0));
    const stats = node.getStats();
    expect(stats).toMatchObject({ offered: 2_000, queued: 0 });
    expect(stats.abandoned).toBeGreaterThanOrEqual(1_000);
    expectToAddUp(stats);
  });
});

describe("without dropping", () => {
  it("a flood waits for a slow client, and all of it arrives", async () => {
    const slow = await openStream({ dropLikeKubeArmor: false });
    slow.pause();
    const flooding = node.flood({ alert: makeAlert({ Source: "x".repeat(8_000) }), count: 3_000 });
    await vi.waitFor(() => expect(node.clients[0]!.queued).toBeGreaterThanOrEqual(1_000));
    expect(node.getStats().pushed).toBeLessThan(2_000);
    slow.resume();
    expect(await flooding).toBe(3_000);
    await slow.received(3_000);
    await node.waitUntilDrained();
    expect(node.clients[0]).toMatchObject({ offered: 3_000, sent: 3_000, dropped: 0, queued: 0 });
  });

  it("push() queues beyond the bound", async () => {
    const stream = await openStream({ dropLikeKubeArmor: false, queueSize: 5 });
    node.freeze();
    node.push(Array.from({ length: 20 }, () => makeAlert()));
    expect(node.clients[0]).toMatchObject({ offered: 20, queued: 20, dropped: 0 });
    node.thaw();
    await stream.received(20);
  });
});

it("drops at the bound it is given", async () => {
  await openStream({ queueSize: 5 });
  node.freeze();
  node.push(Array.from({ length: 20 }, () => makeAlert()));
  expect(node.clients[0]).toMatchObject({ offered: 20, queued: 5, dropped: 15 });
});
