// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tampered alerts: no crash, every one accounted for, every report as the schema wants it. A failure names the seed, which
// repeats the run; a long run takes another one each time.

import { expect, it } from "vitest";
import { isLongRun } from "../support/long-run.ts";
import { runMutated } from "../support/mutated-run.ts";

const ALERTS = Number(process.env["ALERTS"] ?? 4000);
const SEED = Number(process.env["SEED"] ?? (isLongRun ? Date.now() % 2 ** 31 : 20_261_123));

it(`${ALERTS} mutated alerts (seed ${SEED}) are all accounted for, whichever way they are read`, async () => {
  expect(await runMutated(ALERTS, SEED)).toEqual([]);
});
