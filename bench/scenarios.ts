// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// All scenarios, in the order in which they run.

import { firstSight } from "./scenarios/first-sight.ts";
import { footprint } from "./scenarios/footprint.ts";
import { growth } from "./scenarios/growth.ts";
import { loopDelay } from "./scenarios/loop-delay.ts";
import { loss } from "./scenarios/loss.ts";
import { memory } from "./scenarios/memory.ts";
import { requests } from "./scenarios/requests.ts";
import { start } from "./scenarios/start.ts";
import { steps } from "./scenarios/steps.ts";
import { throughput } from "./scenarios/throughput.ts";
import { writeCost } from "./scenarios/write-cost.ts";
import type { Scenario } from "./support/scenario.ts";

export const SCENARIOS: readonly Scenario[] = [
  throughput,
  growth,
  memory,
  loopDelay,
  steps,
  requests,
  firstSight,
  loss,
  start,
  writeCost,
  footprint,
];
