// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import "./tools/check-node.mjs";
import { defineConfig } from "vitest/config";

/** How long the tests of the suites are here; a variable of the same name overrides one. */
const LENGTHS = { SOAK: "1", ALERTS: "1000000", KILLS: "100", OUTAGE_SECONDS: "600" };

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    include: [
      "test/soak/**/*.soak.ts",
      "test/e2e/{api-faults,crash,outage}.test.ts",
      "test/property/mutated-alerts.test.ts",
    ],
    env: Object.fromEntries(Object.entries(LENGTHS).map(([name, value]) => [name, process.env[name] ?? value])),
    testTimeout: 4 * 3_600_000,
    hookTimeout: 300_000,
    // They measure what a loaded machine would blur, and each takes a cluster of its own.
    maxWorkers: 1,
  },
});
