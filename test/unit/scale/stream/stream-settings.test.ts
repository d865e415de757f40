// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import type { StreamConfig } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import { findStreamFaults, PARTITIONS, SHARDS } from "../../../../src/scale/stream/stream-settings.ts";

const WANTED = {
  stream: "s",
  prefix: "pvo",
  replicas: 3,
  maxAgeMs: 3_600_000,
  maxBytes: 1_000_000,
  partitions: 8,
  shards: 4,
};
const GOOD: Partial<StreamConfig> = {
  subjects: ["pvo.>"],
  retention: "limits",
  storage: "file",
  discard: "new",
  num_replicas: 3,
  max_age: 3_600_000_000_000,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  metadata: { [PARTITIONS]: "8", [SHARDS]: "4" },
};

describe("findStreamFaults", () => {
  it("accepts the stream that is created", () => {
    expect(findStreamFaults(GOOD, WANTED)).toEqual([]);
  });

  it.each<[Partial<StreamConfig>, string]>([
    [{ subjects: ["other.>"] }, "scale.nats.subjectPrefix"],
    [{ retention: "workqueue" }, "retention"],
    [{ storage: "memory" }, "storage"],
    [{ discard: "old" }, "discard"],
    [{ num_replicas: 1 }, "scale.nats.replicas"],
    [{ max_age: 1_000_000_000 }, "max_age"],
    [{ max_msgs: 100 }, "max_msgs"],
    [{ max_msgs_per_subject: 1 }, "max_msgs_per_subject"],
    [{ max_msg_size: 4096 }, "max_msg_size"],
    [{ max_consumers: 15 }, "max_consumers"],
    [{ subject_transform: { src: "pvo.>", dest: "other.>" } }, "subject_transform"],
    [{ mirror: { name: "other" } }, "copies"],
    [{ sources: [{ name: "other" }] }, "copies"],
    [{ no_ack: true }, "no_ack"],
    [{ persist_mode: "async" }, "persist_mode"],
    [{ metadata: { [SHARDS]: "4" } }, "scale.partitions"],
    [{ metadata: { [PARTITIONS]: "8", [SHARDS]: "5" } }, "scale.shards"],
  ])("names the setting that is wrong in %j", (wrong, setting) => {
    const faults = findStreamFaults({ ...GOOD, ...wrong }, WANTED);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(setting);
  });
});
