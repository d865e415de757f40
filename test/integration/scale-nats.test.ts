// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The stream on a real NATS server: order, repeats, a server that is killed, and everything that can be set up wrongly.

import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DiscardPolicy, jetstreamManager, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import { connect as openConnection } from "@nats-io/transport-node";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { Publisher } from "../../src/scale/reader/publisher.ts";
import type { StreamMessage } from "../../src/scale/stream/bus.ts";
import { NatsBus, type NatsOptions } from "../../src/scale/stream/nats-bus.ts";
import { PARTITIONS, SHARDS } from "../../src/scale/stream/stream-settings.ts";
import { findFreePort } from "../../tools/free-port.ts";
import { findNatsObstacle, NatsServer } from "../../tools/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import { describeReal } from "../support/real-parts.ts";

const missing = findNatsObstacle();
const GAP = { type: "gap", kind: "Stalled", fromUs: 0, toUs: 1, nodes: 0, count: 0 } as const;

function encode(text: string): Uint8Array {
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
          shards: 2,
          readSecret: async () => ({}),
          nowMs: () => Date.now(),
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
      expect(await bus.publish(1, "a.1", encode("one"))).toMatchObject({ kind: "stored", isRepeat: false });
      expect(await bus.publish(2, "b.1", encode("other"))).toMatchObject({ kind: "stored" });
      expect(await bus.publish(1, "a.2", encode("two"))).toMatchObject({ kind: "stored", seq: 3 });
      expect(await bus.publish(1, "a.2", encode("two"))).toMatchObject({ kind: "stored", seq: 3, isRepeat: true });
      await bus.writeCheckpoint(1, encode("checkpoint"));
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
      await bus.publish(1, "a.1", encode("one"));
      await server.kill();
      expect((await bus.publish(1, "a.2", encode("two"))).kind).toBe("retry");
      expect(bus.problem).toContain("scale.nats.url");
      await server.start();
      await eventually("a stored message", async () => (await bus.publish(1, "a.2", encode("two"))).kind === "stored");
      expect(bus.problem).toBeUndefined();
      const createdMs = expect.any(Number);
      expect(await bus.open()).toEqual({ id, createdMs, startSeq: 0, firstSeq: 1, lastSeq: 2 });
    });

    test.each([
      ["the same reader", 1],
      ["another reader", 2],
    ])("gives another identity to a stream that lost messages, and gave their sequences to %s", async (to, lastSeq) => {
      const server = await start();
      const bus = connect(server.url);
      const create = (processId: string) => {
        const parts = { bus: connect(server.url), clock: systemClock, logger: silentLogger };
        return new Publisher({ ...parts, partitions: 1, processId, shards: () => [] });
      };
      const publish = async (publisher: Publisher) => {
        const before = publisher.messages;
        publisher.send(0, { reports: [], notices: [GAP] }, Date.now());
        await eventually("a stored message", () => publisher.messages > before && publisher.isIdle(0));
      };
      const [reader, other] = [create("reader"), create("other")];
      const [data, copy] = [join(server.dir, "data"), join(server.dir, "copy")];
      for (const each of [reader, other]) await each.checkStream();
      const { id } = await bus.open();
      await server.kill();
      cpSync(data, copy, { recursive: true });
      await server.start();
      await publish(reader);
      await server.kill();
      rmSync(data, { recursive: true });
      renameSync(copy, data);
      await server.start();
      if (to === "another reader") await publish(other);
      await publish(reader);
      expect(await bus.open()).toMatchObject({ id, startSeq: 0, firstSeq: 1, lastSeq });
      await reader.checkStream();
      expect(await bus.open()).toMatchObject({ id: expect.not.stringContaining(id), startSeq: lastSeq + 1 });
    });

    test("gives another identity to a stream that is recreated or renewed", async () => {
      const bus = connect((await start()).url);
      const first = await bus.open();
      await bus.publish(1, "a.1", encode("one"));
      expect(await bus.renew(1, "1")).toBe(false);
      expect(await bus.open()).toMatchObject({ id: first.id, lastSeq: 2 });
      expect(await bus.renew(3, "1")).toBe(true);
      const second = await bus.open();
      expect(second.id).not.toBe(first.id);
      expect(second.startSeq).toBe(3);
    });

    test("names the setting of each fault", async () => {
      const { url } = await start();
      await connect(url).open();
      expect(await fail(connect(url, { partitions: 5 }))).toContain("scale.partitions");
      expect(await fail(connect(url, { shards: 3 }))).toContain("scale.shards");
      expect(await fail(connect(url, { prefix: "other" }))).toContain("scale.nats.subjectPrefix");
      expect(await fail(connect(url, { stream: "second" }))).toContain("scale.nats.stream");
      expect(await fail(connect(url, { stream: "third", prefix: "third", replicas: 3 }))).toContain(
        "scale.nats.replicas",
      );
      expect(await fail(connect("nats://127.0.0.1:1"))).toContain("scale.nats.url");
    });

    test("says that a server has no JetStream, and leaves no connection to it", async () => {
      const port = await findFreePort();
      const config = `http: "127.0.0.1:${port}"`;
      const bus = connect((await start({ hasJetStream: false, config })).url);
      for (let i = 0; i < 3; i++) expect(await fail(bus)).toContain("JetStream");
      await eventually("no connection", async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/varz`);
        const { connections, total_connections } = (await answer.json()) as Record<string, number>;
        return connections === 0 && total_connections === 3;
      });
    });

    test("says that a server takes small messages only", async () => {
      expect(await fail(connect((await start({ config: "max_payload: 4096" })).url))).toContain("max_payload");
    });

    const changes: [string, Partial<StreamConfig>][] = [
      ["discard", { discard: DiscardPolicy.Old }],
      ["retention", { retention: RetentionPolicy.Interest }],
      ["storage", { storage: StorageType.Memory }],
      ["max_age", { max_age: 1_000_000_000 }],
      ["max_msgs", { max_msgs: 10 }],
      ["max_msg_size", { max_msg_size: 4096 }],
      ["max_consumers", { max_consumers: 4 }],
      ["subject_transform", { subject_transform: { src: "pvo.>", dest: "other.>" } }],
      ["no_ack", { no_ack: true }],
      ["partitions", { metadata: {} }],
    ];
    test.each(changes)("refuses a stream that a person made with another %s", async (fault, change) => {
      const { url } = await start();
      const connection = await openConnection({ servers: url });
      const manager = await jetstreamManager(connection);
      const settings = { name: "violations", subjects: ["pvo.>"], discard: DiscardPolicy.New };
      await manager.streams.add({ ...settings, metadata: { [PARTITIONS]: "4", [SHARDS]: "2" }, ...change });
      await connection.close();
      const message = await fail(connect(url));
      expect(message).toContain("stream violations has other settings");
      expect(message).toContain(fault);
    });
  },
  missing,
);
