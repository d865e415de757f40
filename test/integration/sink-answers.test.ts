// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Answer of a real API server when a report is written: of 256 KiB only what the writer did not know.

import { expect, it } from "vitest";
import { MANAGED_BY_LABEL, PRODUCT } from "../../src/api/names.ts";
import type { KubeRequest } from "../../src/kube/client.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { createClusterSink } from "../../src/sinks/cluster-sink.ts";
import { useKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { createFullReport } from "../unit/api/full-report.ts";

const SIGNAL = new AbortController().signal;

describeReal("answers", () => {
  const cluster = useCluster({ controllerManager: false, crds: true, namespaces: ["shop"] });
  const client = useKubeClient(cluster);

  it("to a create and a replace are metadata alone, and the sink gives them with what was sent", async () => {
    const answers: unknown[] = [];
    const request = async <T>(asked: KubeRequest) => {
      const answer = await client.request<T>(asked);
      answers.push(answer);
      return answer;
    };
    const sink = createClusterSink({ client: { request }, logger: silentLogger });
    const made = createFullReport("shop");
    const metadata = { name: "p", namespace: "shop", labels: { [MANAGED_BY_LABEL]: PRODUCT } };

    const created = await sink.write({ ...made, metadata }, SIGNAL);
    if (created.kind !== "written") throw new Error(`not written: ${JSON.stringify(created)}`);
    const coverage = { ...created.report.coverage, gaps: 9 };
    const replaced = await sink.write({ ...created.report, coverage }, SIGNAL);

    expect(answers).toHaveLength(2);
    for (const answer of answers) {
      expect(answer).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "p" } });
      expect(answer).not.toHaveProperty("violations");
    }
    const found = await sink.read({ namespace: "shop", name: "p" }, SIGNAL);
    expect(found).toEqual({ ...replaced, kind: "found" });
  });
});
