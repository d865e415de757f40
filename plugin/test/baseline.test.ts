// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { join } from "node:path";
import { expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { makeDirectory, type PluginOptions, report, runPlugin, violation, writeDirectory } from "./session.ts";

const getExitCode = async (flags: readonly string[], options: PluginOptions) =>
  (await runPlugin(["gate", ...flags], options)).code;

const ofCluster = (cluster: string | undefined, name = "p", namespace = "shop"): Report => {
  const one = report(name, [violation({ outcome: "Allowed" })], { namespace });
  const labels = cluster === undefined ? {} : { "reports.kubearmor.com/cluster": cluster };
  return { ...one, metadata: { ...one.metadata, labels } };
};

test.each([
  ["of another cluster", ["staging"], ["production"], 3],
  ["of a cluster that had no name", [undefined], ["production"], 3],
  ["of a named cluster, where the cluster has no name now", ["staging"], [undefined], 3],
  ["in part of a cluster without a name", [undefined, "production"], ["production", undefined], 3],
  ["of the same cluster", ["staging"], ["staging"], 0],
  ["of the only cluster, which has no name", [undefined], [undefined], 0],
  ["written before some reports had the name", [undefined, "production"], [undefined, "production"], 0],
])("a baseline %s: of %j, with reports of %j, ends with %i", async (_name, before, now, code) => {
  const dir = join(makeDirectory(), "state");
  const toReports = (clusters: (string | undefined)[]) => clusters.map((one, n) => ofCluster(one, `p${n}`));
  await runPlugin(["export", "-A", "--out", dir], { reports: toReports(before) });
  const result = await runPlugin(["gate", "-A", "--baseline", dir], { reports: toReports(now) });
  expect(result.code).toBe(code);
  if (code === 3) {
    expect(result.out).toContain("UNKNOWN: the baseline may be of another cluster: it has shop/p0");
    expect(result.out).toContain("write the baseline again");
  }
});

test("a baseline of another cluster in a namespace that is not looked at does not matter", async () => {
  const dir = writeDirectory(ofCluster("staging"), ofCluster("production", "p", "web"));
  expect(await getExitCode(["-n", "shop", "--baseline", dir], { reports: [ofCluster("staging")] })).toBe(0);
  expect(await getExitCode(["-A", "--baseline", dir], { reports: [ofCluster("staging")] })).toBe(3);
});
