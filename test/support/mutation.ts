// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tampered alerts, from a seed: the same seed gives the same alerts.

import { NASTY_TEXTS } from "./alert-generators.ts";

/** Replacements for text and numbers in an alert. */
const NASTY: readonly unknown[] = [
  ...NASTY_TEXTS,
  "9999-99-99T99:99:99Z",
  "1970-01-01T00:00:00Z",
  "2026-11-23T10:00:00.000001Z",
  "--password hunter2",
  "é".repeat(70_000),
  -1,
  1.5,
  2 ** 53,
  null,
  true,
  [],
  {},
  { Ref: "Deployment", name: 5, Namespace: ["x"], ExecID: "1", ExecutableName: null },
];
/** Bytes that mean something in protobuf: tags, the ends of varints, lengths. */
const MAGIC = [0x00, 0x01, 0x08, 0x0a, 0x12, 0x7f, 0x80, 0xff, 0xf2, 0xfa];

export type Random = () => number;

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Changes a message in one to four places. */
export function mutateBytes(message: Uint8Array, others: readonly Uint8Array[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(message);
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) bytes = mutateOnce(bytes, others, random);
  return bytes;
}

function mutateOnce(bytes: Buffer, others: readonly Uint8Array[], random: Random): Buffer<ArrayBuffer> {
  const at = Math.floor(random() * (bytes.length + 1));
  const span = 1 + Math.floor(random() * 8);
  switch (Math.floor(random() * 8)) {
    case 0:
      return Buffer.from(bytes.subarray(0, at));
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + span)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + span * 4), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(others, random)).subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), Buffer.of(pick(MAGIC, random)), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes, Buffer.from(pick(others, random))]);
    default: {
      const changed = Buffer.from(bytes);
      if (at < changed.length) changed[at] = random() < 0.5 ? pick(MAGIC, random) : Math.floor(random() * 256);
      return changed;
    }
  }
}

/** Changes one to four members of an alert as JSON; now and then the text itself. */
export function mutateJson(alert: object, random: Random): string {
  const members = Object.entries(alert);
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
    const i = Math.floor(random() * members.length);
    const [name] = members[i] ?? ["PolicyName"];
    const kind = random();
    if (kind < 0.1) members.splice(i, 1);
    else if (kind < 0.2) members.push([String(pick(NASTY, random)), pick(NASTY, random)]);
    else members[i] = [name, pick(NASTY, random)];
  }
  // Not Object.fromEntries: a name may come twice, and __proto__ is one like any other.
  const text = `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
  return random() < 0.1 ? mutateBytes(Buffer.from(text), [Buffer.from(text)], random).toString("utf8") : text;
}
