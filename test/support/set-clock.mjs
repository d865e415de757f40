// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Node's --import of a process whose wall clock a test sets: a file holds by how many milliseconds it is ahead.
// Invariant: monotonic time and timers go on.

import { readFileSync } from "node:fs";

const now = Date.now;
Date.now = () => now() + Number(readFileSync(process.env.TEST_CLOCK_AHEAD, "utf8"));
