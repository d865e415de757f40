// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The stream on a real NATS server: order, repeats, a server that is killed, and everything that can be set up wrongly.

import { afterEach, expect, test } from "vitest";
import { silentLogger } from "../../src/lib/logger.ts";
import { NatsBus, type NatsOptions } from "../../src/scale/nats-bus.ts";
import type { StreamMessage } from "../../src/scale/partition-state.ts";
import { NatsServer, whyNoNats } from "../../tools/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import { describeReal } from "../support/real-parts.ts";

const missing = whyNoNats();

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describeReal(
  "NATS",
  () => {
    const servers: NatsServer[] = [];
    const buses: NatsBus[] = [];

    afterEach(async () => {
      for (const bus of buses.splice(0)) await bus.close();
      for (const server of servers.splice(0)) await server.stop();
    });

    async function start(options?: Parameters<typeof NatsServer.start>[0]): Promise<NatsServer> {
      const server = await NatsServer.start(options);
      servers.push(server);
      return server;
    }

    function connect(url: string, more: Partial<NatsOptions> = {}): NatsBus {
      const bus = new NatsBus(
        {
          url,
          name: "test",
          stream: "violations",
          prefix: "pvo",
          replicas: 1,
          maxAgeMs: 3_600_000,
          maxBytes: 100_000_000,
          partitions: 4,
          readSecret: async () => ({}),
          ...more,
        },
        silentLogger,
      );
      buses.push(bus);
      return bus;
    }

    async function fail(bus: NatsBus): Promise<string> {
      return await bus.open().then(
        () => "no error",
        (error: Error) => error.message,
      );
    }

    test("stores a repeated message once, and delivers a partition in order", async () => {
      const bus = connect((await start()).url);
      await bus.open();
      expect(await bus.publish(1, "a.1", bytes("one"))).toMatchObject({ kind: "stored", isRepeat: false });
      expect(await bus.publish(2, "b.1", bytes("other"))).toMatchObject({ kind: "stored" });
      expect(await bus.publish(1, "a.2", bytes("two"))).toMatchObject({ kind: "stored", seq: 3 });
      expect(await bus.publish(1, "a.2", bytes("two"))).toMatchObject({
        kind: "stored",
        seq: 3,
        isRepeat: true,
      });
      await bus.writeCheckpoint(1, bytes("checkpoint"));
      const end = new AbortController();
      const got: StreamMessage[] = [];
      const consuming = bus.consume(1, 1, (message) => got.push(message), end.signal);
      await eventually("two messages", () => got.length === 2);
      end.abort();
      await consuming;
      expect(got.map(({ seq, bytes }) => [seq, new TextDecoder().decode(bytes)])).toEqual([
        [1, "one"],
        [3, "two"],
      ]);
      expect(await bus.last(1)).toMatchObject({ seq: 3 });
      expect(await bus.last(3)).toBeUndefined();
      expect(await bus.readCheckpoint(1)).toMatchObject({ seq: 4 });
      expect(await bus.readCheckpoint(2)).toBeUndefined();
    });

    test("keeps what a server had stored when it is killed", async () => {
      const server = await start();
      const bus = connect(server.url);
      const { id } = await bus.open();
      await bus.publish(1, "a.1", bytes("one"));
      await server.kill();
      expect((await bus.publish(1, "a.2", bytes("two"))).kind).toBe("retry");
      expect(bus.problem).toContain("scale.nats.url");
      await server.start();
      await eventually(
        "a stored message",
        async () => (await bus.publish(1, "a.2", bytes("two"))).kind === "stored",
      );
      expect(bus.problem).toBeUndefined();
      expect(await bus.open()).toEqual({ id, startSeq: 0, firstSeq: 1, lastSeq: 2 });
    });

    test("gives another identity to a stream that is recreated or renewed", async () => {
      const bus = connect((await start()).url);
      const first = await bus.open();
      await bus.publish(1, "a.1", bytes("one"));
      await bus.renew("1");
      const second = await bus.open();
      expect(second.id).not.toBe(first.id);
      expect(second.startSeq).toBe(1);
    });

    test("names the setting of each fault", async () => {
      const { url } = await start();
      await connect(url).open();
      expect(await fail(connect(url, { partitions: 5 }))).toContain("scale.partitions");
      expect(await fail(connect(url, { prefix: "other" }))).toContain("scale.nats.subjectPrefix");
      expect(await fail(connect(url, { stream: "second" }))).toContain("scale.nats.stream");
      expect(await fail(connect(url, { stream: "third", prefix: "third", replicas: 3 }))).toContain(
        "scale.nats.replicas",
      );
      expect(await fail(connect("nats://127.0.0.1:1"))).toContain("scale.nats.url");
    });

    test("names the credentials where they are refused", async () => {
      const { url } = await start({ config: 'authorization { user: "u", password: "p" }' });
      expect(await fail(connect(url))).toContain("scale.nats.secretPath");
      const wrong = { user: "u", password: "wrong" };
      expect(await fail(connect(url, { readSecret: async () => wrong }))).toContain("scale.nats.secretPath");
      const right = { user: "u", password: "p" };
      expect(await fail(connect(url, { readSecret: async () => right }))).toBe("no error");
    });

    test("says that a server has no JetStream", async () => {
      expect(await fail(connect((await start({ hasJetStream: false })).url))).toContain("JetStream");
    });
  },
  missing,
);
