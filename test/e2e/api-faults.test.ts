// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Each API call of a whole life goes wrong once, on a real API server: the counters balance, and the reports hold what was
// sent. Two of the faults for each call; a long run has all of them.

import { beforeAll, expect, test } from "vitest";
import { API_FAULTS, type ApiFault, type Plan } from "../support/api-fault-proxy.ts";
import { findProblems, listPlans, runLife, runLives } from "../support/api-fault-run.ts";
import { isLongRun, printFigures } from "../support/long-run.ts";
import { installPolicyCrds } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

describeReal("the n-th API call fails", () => {
  const cluster = useCluster({ crds: true });

  beforeAll(async () => {
    await installPolicyCrds(cluster);
  });

  test("for every n", async () => {
    const lives = [await runLife(cluster, undefined), await runLife(cluster, undefined)];
    expect(findProblems(lives)).toEqual([]);
    // The number of calls depends on how long a life takes.
    const [shorter = []] = lives.map(({ calls }) => calls).sort((a, b) => a.length - b.length);
    const plans = shorter.flatMap((_, i): Plan[] =>
      [0, 6].map((step) => ({ at: i + 1, fault: API_FAULTS[(i + step) % API_FAULTS.length] as ApiFault })),
    );
    const ended = await runLives(cluster, plans);
    expect(findProblems(ended)).toEqual([]);
    // Calls that follow at once vary by a few.
    const hit = ended.filter(({ isHit }) => isHit).length;
    expect(hit).toBeGreaterThan(plans.length * 0.8);
  });

  test.runIf(isLongRun)("for every n with every fault, until a life ends without reaching the call", async () => {
    const { calls } = await runLife(cluster, undefined);
    const ended = await runLives(cluster, listPlans(calls.length));
    for (const fault of API_FAULTS) {
      for (let at = calls.length + 1, isHit = true; isHit; at++) {
        const life = await runLife(cluster, { fault, at });
        ended.push(life);
        isHit = life.isHit;
      }
    }
    printFigures({ lives: ended.length, hit: ended.filter(({ isHit }) => isHit).length, callsOfOne: calls.length });
    expect(findProblems(ended)).toEqual([]);
  });
});
