// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import "./tools/check-node.mjs";
import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "plugin/test/**/*.test.ts", "headlamp/test/**/*.test.ts"],
    // Real servers start in the integration tests; a slow machine must not fail them.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // Two API servers at once are enough for a small machine.
    maxWorkers: 2,
  },
});
