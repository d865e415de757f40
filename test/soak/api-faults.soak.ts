// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The whole of test/e2e/api-faults.test.ts: every fault at every call, until a life ends without reaching the call.

import { beforeAll, expect, test } from "vitest";
import { API_FAULTS } from "../support/api-fault-proxy.ts";
import { type Ended, findProblems, listPlans, runLife, runLives } from "../support/api-fault-run.ts";
import { listPolicyCrdNames, renderPolicyCrds } from "../support/policies.ts";
import { useCluster } from "../support/real-parts.ts";

const cluster = useCluster({ crds: true });

beforeAll(async () => {
  await cluster.apply(renderPolicyCrds());
  await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...listPolicyCrdNames()]);
});
test(`each of ${API_FAULTS.length} faults at every API call`, async () => {
  const smooth = await runLife(cluster, undefined);
  expect(smooth.problems).toEqual([]);
  const ended: Ended[] = await runLives(cluster, listPlans(smooth.calls.length));
  for (const fault of API_FAULTS) {
    for (let at = smooth.calls.length + 1; ; at++) {
      const life = await runLife(cluster, { fault, at });
      ended.push(life);
      if (!life.isHit) break;
    }
  }
  const hit = ended.filter(({ isHit }) => isHit).length;
  process.stdout.write(`${JSON.stringify({ lives: ended.length, hit, callsOfOne: smooth.calls.length })}\n`);
  expect(findProblems(ended)).toEqual([]);
});
