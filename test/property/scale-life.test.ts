// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers and owners that are killed, doubled and moved while alerts arrive: every alert is in the reports once, or in a
// gap that they declare.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runs } from "../support/gen.ts";
import { PARTITIONS, ScaleWorld, SHARDS } from "../support/scale/world.ts";

/** One reader and one owner of everything; every report exists, for a gap can only be declared in a report. */
async function begin(seed = 1): Promise<ScaleWorld> {
  const world = new ScaleWorld(seed);
  world.startReaderOfAll();
  world.startOwnerOfAll();
  await world.run(1000, 0);
  await world.run(8000, 50);
  return world;
}

function pickBelow(world: ScaleWorld, max: number): number {
  return Math.floor(world.clock.random() * max);
}

/** Lets time pass in which counts of two namespaces that are gone move to cluster reports. */
async function moveNamespaces(world: ScaleWorld): Promise<void> {
  world.nodes.namespaces = ["shop", "absent", "deleted"];
  world.sink.goneNamespaces.add("absent");
  await world.run(15_000, 50);
  world.sink.removeNamespace("deleted");
  await world.run(10_000, 50);
}

/** Lives of each test; a life takes about two seconds of processor time. */
const RUNS = Number(process.env["SCALE_RUNS"] ?? 1);

/** Runs lives of random seeds, and of those that once failed. */
async function check(life: (world: ScaleWorld) => Promise<void>, failed: readonly number[] = []): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), async (seed) => {
      const world = await begin(seed);
      await life(world);
      await world.run(40_000, 0);
      expect(world.findProblems()).toEqual([]);
    }),
    { ...runs(RUNS + failed.length), examples: failed.map((seed): [number] => [seed]), endOnFailure: true },
  );
}

describe("several processes", { timeout: 300_000 }, () => {
  it("count every alert once", async () => {
    const world = await begin();
    await world.run(10_000, 0);
    expect(world.findProblems()).toEqual([]);
    expect(world.missing).toBe(0);
    expect(world.sink.reports.length).toBe(4);
  });

  it("lose nothing when owners are killed, doubled or without an answer", async () => {
    await check(async (world) => {
      world.unknownWrites = 0.2;
      for (let turn = 0; turn < 4; turn++) {
        const [owner] = world.owners;
        world.startOwnerOfAll();
        await world.run(pickBelow(world, 5000));
        world.kill(owner);
        await world.run(pickBelow(world, 5000));
      }
      await world.run(40_000, 0);
      expect(world.missing).toBe(0);
    });
  });

  it("lose nothing when the stream answers late, twice or not at all", async () => {
    await check(async (world) => {
      world.stream.dropsDuplicates = pickBelow(world, 2) === 0;
      world.stream.fate = () => (["stored", "stored_unanswered", "refused"] as const)[pickBelow(world, 3)] ?? "stored";
      await world.run(10_000);
      world.stream.isAway = true;
      await world.run(pickBelow(world, 20_000));
      world.stream.isAway = false;
      world.isApiAway = true;
      await world.run(pickBelow(world, 20_000));
      world.isApiAway = false;
      world.stream.fate = () => "stored";
      await world.run(60_000, 0);
      expect(world.missing).toBe(0);
    });
  });

  it("lose nothing when a server answers before it knows all that is stored", async () => {
    await check(async (world) => {
      for (let turn = 0; turn < 4; turn++) {
        await world.run(pickBelow(world, 5000));
        const [owner] = world.owners;
        world.kill(owner);
        world.stream.unknown = pickBelow(world, Math.min(10, world.stream.lastSeq));
        world.startOwnerOfAll();
        await world.run(pickBelow(world, 3000));
        world.stream.unknown = 0;
      }
      await world.run(40_000, 0);
      expect(world.missing).toBe(0);
    });
  });

  it("declare what a killed reader had not published", async () => {
    let missing = 0;
    await check(async (world) => {
      world.nodes.maxDelayMs = 2000;
      for (let turn = 0; turn < 3; turn++) {
        await world.run(pickBelow(world, 4000));
        const [reader] = world.readers;
        world.kill(reader);
        await world.run(pickBelow(world, 4000));
        world.startReaderOfAll();
      }
      missing += world.missing;
    });
    expect(missing).toBeGreaterThan(0);
  });

  it("declare what was raised before KubeArmor sends on a new stream", async () => {
    const world = await begin();
    const [reader] = world.readers;
    world.kill(reader);
    world.startReaderOfAll();
    await world.run(10_000, 50);
    await world.run(10_000, 0);
    expect(world.missing).toBeGreaterThan(0);
    expect(world.findProblems()).toEqual([]);
  });

  it("move shards and partitions in order while alerts arrive", async () => {
    await check(async (world) => {
      world.nodes.maxDelayMs = 200;
      for (let turn = 0; turn < 6; turn++) {
        const shard = pickBelow(world, SHARDS);
        const [reader] = [...world.readers].filter(({ leases }) => leases.has(shard));
        const nextReader = world.startReader();
        if (reader) await world.release(reader, shard);
        await world.run(pickBelow(world, 500));
        world.giveShard(shard, nextReader);
        const partition = pickBelow(world, PARTITIONS);
        const [owner] = [...world.owners].filter(({ leases }) => leases.has(partition));
        const nextOwner = world.startOwner();
        if (owner) await world.release(owner, partition);
        world.givePartition(partition, nextOwner);
        await world.run(pickBelow(world, 4000));
      }
    });
  });

  it("go on after a Lease that no other process took, and drop what another one has", async () => {
    await check(async (world) => {
      const [reader] = world.readers;
      if (!reader) return;
      reader.leases.get(0)?.skipRenewal();
      await world.run(pickBelow(world, 5000));
      reader.leases.get(0)?.regain();
      await world.run(3000);
      reader.leases.get(1)?.skipRenewal();
      await world.run(pickBelow(world, 5000));
      const next = world.startReader();
      world.giveShard(1, next);
      await world.run(3000);
      await world.release(reader, 1);
      await world.run(3000);
    });
  });

  it("count alerts of a namespace that is gone in the cluster report, once", async () => {
    await check(
      async (world) => {
        world.nodes.namespaces = ["shop", "absent", "deleted"];
        world.sink.goneNamespaces.add("absent");
        world.unknownWrites = 0.2;
        for (let turn = 0; turn < 4; turn++) {
          if (turn === 2) world.sink.removeNamespace("deleted");
          const [owner] = world.owners;
          world.startOwnerOfAll();
          await world.run(pickBelow(world, 5000), 50);
          world.kill(owner);
          await world.run(pickBelow(world, 9000), 50);
        }
        await world.run(60_000, 0);
        expect(world.sink.reports.some(({ metadata }) => metadata.namespace === undefined)).toBe(true);
      },
      [10, 11],
    );
  });

  it("declare what the stream removed while no process owned a partition, and all readers were replaced", async () => {
    let missing = 0;
    await check(async (world) => {
      await moveNamespaces(world);
      const [owner, reader] = [...world.owners, ...world.readers];
      world.kill(owner);
      await world.run(10_000 + pickBelow(world, 10_000));
      world.kill(reader);
      world.startReaderOfAll();
      world.stream.removeBefore(world.clock.nowMs());
      await world.run(pickBelow(world, 5000));
      world.startOwnerOfAll();
      await world.run(10_000);
      missing += world.missing;
    });
    expect(missing).toBeGreaterThan(0);
  });

  it("declare in reports that begin later what the stream removed while no process owned a partition", async () => {
    await check(async (world) => {
      const [owner] = world.owners;
      world.kill(owner);
      world.nodes.namespaces = ["later"];
      await world.run(30_000, 50);
      world.stream.removeBefore(world.clock.nowMs());
      await world.run(1000 + pickBelow(world, 5000), 50);
      world.startOwnerOfAll();
      await world.run(10_000, 50);
    });
  });

  it("declare what is missing in cluster reports, too, which others may own", async () => {
    let missing = 0;
    await check(
      async (world) => {
        world.unknownWrites = 0.2;
        await moveNamespaces(world);
        for (let turn = 0; turn < 4; turn++) {
          for (const owner of [...world.owners]) world.kill(owner);
          const before = world.stream.lastSeq;
          await world.run(3000 + pickBelow(world, 3000));
          world.stream.loseCounts((seq) => seq > before && pickBelow(world, 3) === 0);
          const next = world.startOwner();
          const other = world.startOwner();
          for (let partition = 0; partition < PARTITIONS; partition++)
            world.givePartition(partition, pickBelow(world, 2) === 0 ? next : other);
          await world.run(pickBelow(world, 9000), pickBelow(world, 2) * 10);
        }
        missing += world.missing;
      },
      [257668],
    );
    expect(missing).toBeGreaterThan(0);
  });

  it("declare a stream that was recreated, or has lost what it had stored", async () => {
    await check(
      async (world) => {
        await moveNamespaces(world);
        await world.run(pickBelow(world, 3000));
        if (pickBelow(world, 2) === 0) world.stream.recreate();
        else world.stream.loseTail(1 + pickBelow(world, 5));
        await world.run(pickBelow(world, 20_000));
        const [owner] = world.owners;
        world.kill(owner);
        world.startOwnerOfAll();
        await world.run(5000);
      },
      [666866, 10, 15],
    );
  });

  it("declare nodes that are not read, also in reports that begin meanwhile", async () => {
    await check(async (world) => {
      const shard = pickBelow(world, SHARDS);
      world.nodes.cut(shard);
      // Reports of the second namespace begin meanwhile.
      world.nodes.namespaces = ["shop", "bank"];
      await world.run(5000 + pickBelow(world, 20_000));
      expect(world.findProblems()).toEqual([]);
      expect(world.sink.reports.length).toBe(8);
      for (const { coverage } of world.sink.reports) expect(coverage.continuousSince).toBeUndefined();
      if (pickBelow(world, 2) === 0) {
        world.kill([...world.readers][0]);
        world.startReaderOfAll();
      }
      if (pickBelow(world, 2) === 0) {
        world.kill([...world.owners][0]);
        world.startOwnerOfAll();
      }
      await world.run(pickBelow(world, 5000));
      world.nodes.reconnect(shard);
      await world.run(20_000);
      for (const { coverage } of world.sink.reports) {
        expect(coverage.continuousSince).toBeDefined();
        expect(coverage.recent?.filter(({ to }) => to === undefined)).toEqual([]);
      }
    });
  });
});
