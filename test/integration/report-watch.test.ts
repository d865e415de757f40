// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The reports of a real API server as a standby follows them: listed, changed, removed, and listed again where the server
// no longer knows the version from which the watch was to go on.

import { afterAll, expect, it } from "vitest";
import { MANAGED_BY_LABEL, PRODUCT } from "../../src/api/names.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { KubeRequest, KubeStreamRequest } from "../../src/kube/client.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { createReportWatch } from "../../src/sinks/report-watch.ts";
import { eventually } from "../support/eventually.ts";
import { useKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { createFullReport } from "../unit/api/full-report.ts";

describeReal("reports", () => {
  const cluster = useCluster({ controllerManager: false, crds: true, namespaces: ["shop"] });
  const client = useKubeClient(cluster);
  const ends: (() => Promise<void>)[] = [];

  afterAll(async () => {
    for (const end of ends) await end();
  });

  /** Follows until the end of the tests; `each` may change a request for a stream before it is sent. */
  function watch(each: (request: KubeStreamRequest) => KubeStreamRequest = (request) => request) {
    const observed: string[] = [];
    const note = (how: string) => (report: Report) =>
      void observed.push(`${how} ${report.metadata.name} ${report.summary.occurrences}`);
    const lists: (string | undefined)[] = [];
    const watching = createReportWatch({
      client: {
        request: <T>(request: KubeRequest) => {
          lists.push(request.path);
          return client.request<T>(request);
        },
        stream: (request: KubeStreamRequest) => client.stream(each(request)),
      },
      clock: systemClock,
      logger: silentLogger,
    });
    const stop = new AbortController();
    const stored = (report: Report, how: string) => note(how)(report);
    const running = watching.run(
      { onStored: stored, onListed: (kind) => void observed.push(`all ${kind}`), onRemoved: note("removed") },
      stop.signal,
    );
    ends.push(async () => {
      stop.abort();
      await running;
    });
    return { observed, lists, watching };
  }

  async function write(name: string, occurrences: number): Promise<void> {
    const made = createFullReport("shop");
    const labels = { [MANAGED_BY_LABEL]: PRODUCT };
    const report = {
      ...made,
      metadata: { name, namespace: "shop", labels },
      summary: { ...made.summary, occurrences },
    };
    await cluster.apply(JSON.stringify(report));
  }

  const sees = (observed: string[], line: string) => eventually(line, () => observed.includes(line));

  it("are reported as listed, changed and removed; objects of others are not", async () => {
    await write("listed", 1);
    await cluster.kubectl(["label", "pvr", "-n", "shop", "listed", "team=blue"]);
    const { observed, watching } = watch();
    expect(watching.problem).toBe("the reports are not listed yet");
    await sees(observed, "all PolicyViolationReport");
    await sees(observed, "all ClusterPolicyViolationReport");
    await eventually("a watch", () => watching.problem === undefined);
    await write("listed", 2);
    await sees(observed, "changed listed 2");
    await cluster.kubectl(["delete", "pvr", "-n", "shop", "listed"]);
    await sees(observed, "removed listed 2");
    expect(observed.filter((line) => !line.startsWith("all"))).toEqual([
      "listed listed 1",
      "changed listed 2",
      "removed listed 2",
    ]);
  });

  it("are listed again where the watch can't go on from the version that was read", async () => {
    await write("old", 1);
    let isOld = true;
    const { observed, lists } = watch((request) => {
      if (!isOld || !request.path.endsWith("/policyviolationreports")) return request;
      isOld = false;
      // From before all that the API server remembers of them: it answers 410.
      return { ...request, query: { ...request.query, resourceVersion: "1" } };
    });
    const isListedAgain = () => observed.filter((line) => line === "all PolicyViolationReport").length === 2;
    await eventually("a second list", () => isListedAgain());
    await write("old", 2);
    await sees(observed, "changed old 2");
    expect(lists.filter((path) => path?.endsWith("/policyviolationreports"))).toHaveLength(2);
    expect(observed.filter((line) => line === "listed old 1")).toHaveLength(2);
  });
});
