// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// All scenarios, in the order in which they run.

import { throughput } from "./scenarios/throughput.ts";
import type { Scenario } from "./support/scenario.ts";

export const SCENARIOS: readonly Scenario[] = [throughput];
