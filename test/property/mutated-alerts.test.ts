// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tampered alerts: no crash, every one accounted for, every report as the schema wants it. The
// long form is test/soak/mutated-alerts.soak.ts.

import { expect, it } from "vitest";
import { runMutated } from "../support/mutated-run.ts";

const SEED = Number(process.env["SEED"] ?? 20_261_123);

it(`mutated alerts (seed ${SEED}) are all accounted for, whichever way they are read`, async () => {
  expect(await runMutated(4000, SEED)).toEqual([]);
});
