// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { Publisher } from "../../../../src/scale/reader/publisher.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MemoryBus, MemoryStream } from "../../../support/scale/memory-bus.ts";

it("logs once why the stream can't be used, and again after it could", async () => {
  const clock = new FakeClock();
  const stream = new MemoryStream();
  const answers: unknown[] = [];
  const error = ({ answer }: { answer?: unknown }) => void answers.push(answer);
  const publisher = new Publisher({
    bus: new MemoryBus(stream, clock),
    clock,
    logger: { ...silentLogger, error },
    partitions: 1,
    processId: "reader",
    shards: () => [],
  });
  for (const logged of [1, 2]) {
    stream.isAway = true;
    await publisher.checkStream();
    await publisher.checkStream();
    expect(answers).toEqual(Array(logged).fill("away"));
    stream.isAway = false;
    await publisher.checkStream();
  }
});
