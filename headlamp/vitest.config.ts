// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tests of the pages in a document, with Headlamp's own components: `npm test`. The root's tests run `test/`.

import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  esbuild: { jsx: "automatic" },
  test: {
    include: ["dom-test/**/*.test.tsx"],
    environment: "jsdom",
    // Headlamp is published as modules that only a bundler resolves.
    server: { deps: { inline: [/@kinvolk/] } },
    // Loading Headlamp takes some seconds.
    testTimeout: 120_000,
    // Headlamp reports what a document without canvas and WebSocket lacks.
    onConsoleLog: () => false,
  },
});
