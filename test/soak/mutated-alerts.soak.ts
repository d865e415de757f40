// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The long form of test/property/mutated-alerts.test.ts; a failure names the seed, which has the run again.

import { expect, test } from "vitest";
import { runMutated } from "../support/mutated-run.ts";

const ALERTS = Number(process.env["ALERTS"] ?? 1_000_000);
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

test(`${ALERTS} mutated alerts (seed ${SEED}) are all accounted for`, async () => {
  expect(await runMutated(ALERTS, SEED)).toEqual([]);
});
