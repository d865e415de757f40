// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings that the stream must have, and differences to those that it has.

import type { StreamConfig } from "@nats-io/jetstream";

export interface StreamSettings {
  stream: string;
  /** Beginning of its subjects. */
  prefix: string;
  replicas: number;
  maxAgeMs: number;
  maxBytes: number;
  partitions: number;
  /** Two readers with different numbers could read the same node. */
  shards: number;
}

/** Keys of the stream's metadata with the numbers on which all processes must agree. */
export const PARTITIONS = "policy-violation-operator-partitions";
export const SHARDS = "policy-violation-operator-shards";

/** Messages are smaller: counts of about 256 KiB, and notices. */
export const MIN_MESSAGE_BYTES = 1024 * 1024;
const NANOS_PER_MS = 1_000_000;
/** An owner that was down for less finds every message. Milliseconds. */
const MIN_AGE_MS = 60_000;

/** Returns the faults of an existing stream, each with the setting to change; empty for a valid one. */
export function findStreamFaults(found: Partial<StreamConfig>, wanted: StreamSettings): string[] {
  const faults: string[] = [];
  const expect = (isRight: boolean, fault: string) => {
    if (!isRight) faults.push(fault);
  };
  const subjects = found.subjects ?? [];
  const subject = `${wanted.prefix}.>`;
  expect(
    subjects.includes(subject),
    `subjects are ${subjects.join(", ") || "none"}, expected ${subject} (scale.nats.subjectPrefix)`,
  );
  expect(found.retention === "limits", `retention is ${found.retention}, expected limits`);
  expect(found.storage === "file", `storage is ${found.storage}, expected file`);
  expect(found.discard === "new", `discard is ${found.discard}, expected new: old messages must not be lost`);
  expect(
    (found.num_replicas ?? 1) >= wanted.replicas,
    `num_replicas is ${found.num_replicas}, expected ${wanted.replicas} (scale.nats.replicas)`,
  );
  const ageMs = (found.max_age ?? 0) / NANOS_PER_MS;
  expect(ageMs === 0 || ageMs >= MIN_AGE_MS, `max_age is ${ageMs / 1000} s, expected at least ${MIN_AGE_MS / 1000} s`);
  expect((found.max_msgs ?? -1) <= 0, `max_msgs is ${found.max_msgs}, expected none`);
  expect(
    (found.max_msgs_per_subject ?? -1) <= 0,
    `max_msgs_per_subject is ${found.max_msgs_per_subject}, expected none`,
  );
  const size = found.max_msg_size ?? -1;
  expect(size <= 0 || size >= MIN_MESSAGE_BYTES, `max_msg_size is ${size}, expected at least ${MIN_MESSAGE_BYTES}`);
  // An owner has one for each partition; one that it left behind is removed after a minute.
  const consumers = found.max_consumers ?? -1;
  expect(
    consumers <= 0 || consumers >= 2 * wanted.partitions,
    `max_consumers is ${consumers}, expected at least ${2 * wanted.partitions}`,
  );
  expect(!found.subject_transform, "it has a subject_transform, expected none");
  expect(!found.mirror && !found.sources?.length, "it copies other streams, expected none");
  expect(found.no_ack !== true, "no_ack is true, expected false");
  expect(found.sealed !== true, "sealed is true, expected false");
  expect(found.persist_mode !== "async", "persist_mode is async, expected default");
  for (const [key, name] of [
    [PARTITIONS, "partitions"],
    [SHARDS, "shards"],
  ] as const) {
    const count = found.metadata?.[key];
    expect(
      count === String(wanted[name]),
      `it was created for ${count ?? "no"} ${name}, expected ${wanted[name]} (scale.${name}); ` +
        "to change that, stop the readers, wait until the owners have written everything, and delete the stream",
    );
  }
  return faults;
}
