// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An alert that repeats another must leave no garbage behind: at the wire's pace garbage is what stops the reader. The
// heap shows how much there was, with no collection between two looks.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { RawAlertReader } from "../../../src/alerts/decoding/protobuf-scanner.ts";
import { DuplicateFilter } from "../../../src/ingest/duplicates.ts";
import { makeAlert } from "../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../tools/kubearmor-node/wire.ts";
import { createIngest } from "../../support/ingest-bed.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const TIME = "2026-11-23T09:00:00.000000Z";
const ROUNDS = 40;
const ALERTS = 2500;

it("100,000 repeated alerts are counted without an object for each", () => {
  const duplicates = new DuplicateFilter({ windowMs: 60_000, maxEntries: 10_000 });
  const { counters, ingest } = createIngest({ duplicates });
  const reader = new RawAlertReader();
  const messages = Array.from({ length: 20 }, (_, i) =>
    encodeAlert(makeAlert({ UpdatedTime: TIME, Resource: `/usr/bin/apt${i}`, PodName: `web-${i % 3}` })),
  );
  const places = messages.map((message) => message.indexOf(TIME) + "2026-11-23T09:00:00.".length);
  let micros = 0;
  const perAlert: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < ALERTS; i++) {
      const message = messages[i % messages.length]!;
      let rest = micros++;
      for (let digit = 5; digit >= 0; digit--) {
        message[places[i % messages.length]! + digit] = 0x30 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
      if (reader.find(message)) ingest.alert(reader, 0);
    }
    perAlert.push((process.memoryUsage().heapUsed - before) / ALERTS);
  }
  expect(counters).toMatchObject({ received: ROUNDS * ALERTS, counted: ROUNDS * ALERTS });
  // Some numbers are boxed; the smallest alert that is read has 45 fields, and its violation a dozen texts. Half of the
  // rounds may have had to do with the compiler.
  const median = perAlert.toSorted((a, b) => a - b)[ROUNDS / 2]!;
  expect(median).toBeLessThan(200);
});
