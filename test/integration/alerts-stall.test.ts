// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A stall of our process, against a Go server that drops alerts like KubeArmor when its queue of 1,000 is full. As many
// alerts as the flow control window holds are not lost, however long the stall is. KubeArmor's daemon also closes a
// stream that does not answer its pings for 5 s.

import { afterEach, expect, it } from "vitest";
import { type AlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { locateParts } from "../../tools/parts/parts.ts";
import { createTarget, run, runNodes } from "./alerts-bed.ts";

const part = locateParts(["alert-source"])["alert-source"];
const program = part !== undefined && "path" in part ? part.path : undefined;
if (program === undefined && process.env["CI"]) throw new Error(`no alert-source: ${JSON.stringify(part)}`);
const PATIENCE = { timeout: 60_000, interval: 20 };

let server: AlertSource | undefined;
afterEach(() => server?.stop());

/** Nothing of this process runs meanwhile. */
function blockThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

it.skipIf(program === undefined)("loses none of 6,000 alerts that are sent during a stall", async () => {
  server = await startAlertSource(program ?? "");
  const { until, source } = run({ address: server.address });
  await server.clients(1);
  const offered = 6_000;
  const sending = server.send({ count: offered, rate: 10_000, drop: true });
  // Until everything is offered, and longer.
  blockThread(1_000);
  expect(await sending).toMatchObject({ offered, sent: offered, dropped: 0 });
  await until(() => source.stats.messages === offered);
  expect(source.stats).toMatchObject({ attempts: 1, connects: 1 });
});

it.skipIf(program === undefined)(
  "keeps a daemon's stream through a stall under 5 s, and reconnects after a longer one",
  async () => {
    server = await startAlertSource(program ?? "", { daemon: true });
    const { until, source, listener } = run({ address: server.address });
    await until(() => listener.count("connected") === 1);
    blockThread(3_000);
    expect(await server.send({ count: 1 })).toMatchObject({ sent: 1 });
    await until(() => listener.count("alert") === 1);
    expect(source.stats).toMatchObject({ attempts: 1, connects: 1 });
    blockThread(8_000);
    await until(() => listener.count("connected") === 2);
    expect(listener.disconnects[0]).toMatchObject({ reason: "error" });
  },
);

it.skipIf(program === undefined)(
  "loses none of 50 alerts from each of 200 nodes at once; a relay's queue of 1,000 loses most of them",
  async () => {
    const nodes = 200;
    const each = 50;
    server = await startAlertSource(program ?? "", { daemon: true, listen: "0.0.0.0:0" });
    const port = server.address.split(":").at(-1);
    const { source, listener, pods } = runNodes();
    for (let i = 0; i < nodes; i++) pods.onNode(createTarget(`uid-${i}`, `node-${i}`, `127.0.1.${i + 1}:${port}`));
    pods.onListed();
    await expect.poll(() => source.nodes, PATIENCE).toEqual({ desired: nodes, connected: nodes });
    const offered = nodes * each;
    expect(await server.send({ count: each, drop: true })).toMatchObject({ offered, dropped: 0 });
    await expect.poll(() => listener.count("alert"), PATIENCE).toBe(offered);
    expect(listener.disconnects).toEqual([]);
    await server.stop();

    server = await startAlertSource(program ?? "");
    const relay = run({ address: server.address });
    await relay.until(() => relay.listener.count("connected") === 1);
    const { dropped, sent } = await server.send({ count: offered, drop: true });
    await relay.until(() => relay.source.stats.messages === sent);
    expect(dropped + sent).toBe(offered);
    expect(dropped).toBeGreaterThan(0);
  },
);
