// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A gap of the stream of a second, over gRPC and on a real API server: no quiet report is written for it, and who reads
// the reports learns of it all the same.

import { beforeAll, expect, test } from "vitest";
import { STREAM_GAPS_ANNOTATION } from "../../src/api/names.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { LEADING, useNode, usePlugin } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports, report } from "../support/reports.ts";

const POLICIES = ["alpha", "beta", "gamma"];

describeReal("a gap of the stream of a second", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor", "shop"] });
  const bed = useNode(cluster);
  const plugin = usePlugin();

  const push = (policy: string) =>
    bed.node.push([wireAlert({ PodName: "web-1", PolicyName: policy }, { UpdatedTime: new Date().toISOString() })]);
  const readLeaseGaps = async () => {
    const lease = await cluster.kubectl(["get", "lease", "-n", "kubearmor", "policy-violation-operator", "-o", "json"]);
    const { metadata } = JSON.parse(lease) as { metadata: { annotations?: Record<string, string> } };
    return JSON.parse(metadata.annotations?.[STREAM_GAPS_ANNOTATION] ?? "[]") as object[];
  };
  const listKinds = (stored: Report | undefined) => stored?.coverage.recent?.map(({ kind }) => kind) ?? [];

  beforeAll(async () => {
    const operator = await bed.start(LEADING);
    for (const policy of POLICIES) push(policy);
    await operator.waitForReported(POLICIES.length);
  });

  test("is on the Lease, and in a report with its next write", async () => {
    const before = (await listReports(cluster)).map(({ metadata }) => metadata.resourceVersion);
    await bed.node.stop();
    await eventually("a stream that is down", async () => (await bed.operator.readMetric("stream_up")) === 0);
    await bed.node.start();
    await bed.operator.streamOpen();
    const gaps = await eventually("a stated gap", async () => {
      const stated = await readLeaseGaps();
      return stated.length > 0 && stated;
    });
    expect(gaps).toMatchObject([{ kind: expect.stringMatching(/^Stream(Down|Ended)$/), seconds: expect.any(Number) }]);
    const after = await listReports(cluster);
    expect(after.map(({ metadata }) => metadata.resourceVersion)).toEqual(before);
    expect(after.flatMap(listKinds)).toEqual([]);
    await bed.node.waitForClients();
    push("alpha");
    await bed.operator.waitForReported(POLICIES.length + 1);
    expect((await report(cluster, "shop", "alpha"))?.coverage.recent).toEqual(gaps);
    expect(listKinds(await report(cluster, "shop", "beta"))).toEqual([]);
  });

  test("makes every report a lower bound for the plugin, and its gate does not pass where all must be covered", async () => {
    const { stdout } = await plugin.kubectl(["violations", "explain", "-n", "shop", "beta"], cluster.kubeconfigPath);
    expect(stdout).toContain("lower bound");
    const covered = ["violations", "gate", "-n", "shop", "--policy", "beta", "--since", "1h", "--require-coverage"];
    const gate = await plugin.kubectl([...covered, "--outcome", "allowed"], cluster.kubeconfigPath);
    expect([gate.code, gate.stdout]).toEqual([3, expect.stringContaining("alerts may have been missed")]);
  });

  test("is in every report after a crash", async () => {
    await bed.operator.kill();
    await bed.start(LEADING);
    await eventually("the gap in every report", async () => {
      const kinds = (await listReports(cluster)).map(listKinds);
      return kinds.every((each) => each.includes("NotRunning") && each.some((kind) => kind.startsWith("Stream")));
    });
  });
});
