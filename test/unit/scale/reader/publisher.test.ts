// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { Publisher } from "../../../../src/scale/reader/publisher.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MemoryBus, MemoryStream } from "../../../support/scale/memory-bus.ts";

const NOTICE = { type: "gap", kind: "Stalled", fromUs: 0, toUs: 1, nodes: 0, count: 0 } as const;

function createPublisher(logger = silentLogger) {
  const clock = new FakeClock();
  const stream = new MemoryStream();
  const create = (processId: string) => {
    const bus = new MemoryBus(stream, clock);
    return new Publisher({ bus, clock, logger, partitions: 1, processId, shards: () => [] });
  };
  return { clock, stream, publisher: create("reader"), other: create("other") };
}

it("logs once why the stream can't be used, and again after it could", async () => {
  const answers: unknown[] = [];
  const error = ({ answer }: { answer?: unknown }) => void answers.push(answer);
  const { stream, publisher } = createPublisher({ ...silentLogger, error });
  for (const logged of [1, 2]) {
    stream.isAway = true;
    await publisher.checkStream();
    await publisher.checkStream();
    expect(answers).toEqual(Array(logged).fill("away"));
    stream.isAway = false;
    await publisher.checkStream();
  }
});

it("gives the stream another identity where it has lost messages, not where a server does not know them yet", async () => {
  const { clock, stream, publisher } = createPublisher();
  await publisher.checkStream();
  publisher.send(0, { reports: [], notices: [] }, clock.nowMs());
  await clock.advance(100);
  expect(publisher.messages).toBe(1);
  const { id } = stream;
  stream.unknown = 1;
  await publisher.checkStream();
  expect(stream.id).toBe(id);
  stream.loseTail(1);
  await publisher.checkStream();
  expect(stream.id).not.toBe(id);
});

it("gives the stream another identity where it gives sequences again before a check", async () => {
  const { clock, stream, publisher } = createPublisher();
  await publisher.checkStream();
  const { id } = stream;
  for (const isLost of [false, true, false]) {
    if (isLost) stream.loseTail(1);
    publisher.send(0, { reports: [], notices: [NOTICE] }, clock.nowMs());
    await clock.advance(100);
  }
  expect(stream.lastSeq).toBe(2);
  await publisher.checkStream();
  expect(stream.id).not.toBe(id);
});

it("gives the stream another identity where another reader got the sequence of a message that it had stored", async () => {
  const { clock, stream, publisher, other } = createPublisher();
  const publish = async (by: Publisher) => {
    by.send(0, { reports: [], notices: [NOTICE] }, clock.nowMs());
    await clock.advance(100);
  };
  for (const each of [publisher, other]) await each.checkStream();
  await publish(other);
  await publish(publisher);
  const { id } = stream;
  stream.restart();
  await publish(publisher);
  await publisher.checkStream();
  expect(stream.id).toBe(id);
  stream.loseTail(1);
  await publish(other);
  await publish(publisher);
  expect(stream.lastSeq).toBe(4);
  await other.checkStream();
  expect(stream.id).toBe(id);
  await publisher.checkStream();
  expect(stream.id).not.toBe(id);
});
