// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { findNearest } from "../../../src/config/nearest.ts";
import { sections, settings } from "../../../src/config/settings.ts";

const known = [...settings.map(({ path }) => path), ...sections.map(({ path }) => path)].filter(Boolean);

test.each([
  ["reports.maxByte", "reports.maxBytes"],
  ["reports.max-bytes", "reports.maxBytes"],
  ["reports.max_bytes", "reports.maxBytes"],
  ["maxBytes", "reports.maxBytes"],
  ["relay.address", "feed.relay.address"],
  ["report", "reports"],
  ["lgo.level", "log.level"],
  ["leaderelection", "leaderElection"],
  ["kubeConfig", "kubeconfig"],
  ["retention", undefined],
  ["x", undefined],
  ["a".repeat(1000), undefined],
])("%s was meant to be %s", (name, meant) => {
  expect(findNearest(name, known)).toBe(meant);
});
