// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { printConfig } from "../../../src/config/print.ts";

const place = { identity: "h" };

test("what is printed can be used as the file and gives the same configuration", () => {
  const first = parseConfig({
    place,
    fileText: "redaction: {patterns: ['a: #b', \"c'd\"], names: [pin]}\nidentity: '123'\n",
    env: { PVO_METRICS_ADDRESS: "[::1]:1" },
    flags: { "leaderElection.enabled": false },
  });
  if ("problems" in first) throw new Error("expected a configuration");
  const printed = printConfig(first.config, first.sources);
  const again = parseConfig({ place, fileText: printed });
  expect("config" in again && again.config).toEqual(first.config);
  expect(first.config.identity).toBe("123");
});

test("a value that is not a default says where it came from", () => {
  const result = parseConfig({
    place,
    filePath: "pvo.yaml",
    fileText: "redaction:\n  names: [pin]\n",
    env: { PVO_REPORTS_MAX_BYTES: "65536" },
  });
  if ("problems" in result) throw new Error("expected a configuration");
  const printed = printConfig(result.config, result.sources);
  expect(printed).toContain("  maxViolations: 300\n  maxBytes: 65536 # PVO_REPORTS_MAX_BYTES\n");
  expect(printed).toContain("  names:\n    # pvo.yaml:2\n    - pin\n");
});
