// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import "./tools/check-node.mjs";
import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    include: ["test/soak/**/*.soak.ts"],
    testTimeout: 4 * 3_600_000,
    hookTimeout: 300_000,
    // They measure what a loaded machine would blur, and each takes a cluster of its own.
    maxWorkers: 1,
  },
});
