// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Aggregator } from "../../../src/aggregate/aggregator.ts";
import { NameResolution } from "../../../src/app/pipeline/name-resolution.ts";
import { IngestCounters } from "../../../src/ingest/ingest-counters.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { alert, MEMORY, toLetters, violation } from "../../support/gen.ts";

it("violations that join others are counted where two reports are taken at once", () => {
  const aggregator = new Aggregator(MEMORY, () => {});
  const counters = new IngestCounters();
  const resolution = new NameResolution({ ledgers: aggregator.ledgers, counters, onDirty: () => {} });
  const kinds = 100;
  for (const NamespaceName of ["bank", "shop"]) {
    const mods = { NamespaceName, OwnerNamespace: NamespaceName, PodName: "web-1" };
    for (let i = 0; i < kinds; i++) {
      const file = { Operation: "File", Resource: `/x/${toLetters(i)}` };
      aggregator.add(violation(alert(mods, file)));
      aggregator.add(violation(alert(mods, file, { OwnerRef: "Pod", OwnerName: "web-1" })));
    }
    resolution.names.learn(violation(alert(mods)).violation, { hasOwner: true, containerId: "" });
  }
  const [bank, shop] = [...aggregator.ledgers.values()].map((ledger) => resolution.onTaking(ledger));
  bank?.next();
  if (shop) runAtOnce(shop);
  if (bank) runAtOnce(bank);
  expect(counters.joined).toBe(2 * kinds);
});
