// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the publisher of OpenReports copies from the configuration.

import type { Config } from "../config/config.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { openReportName, toOpenReport } from "../report/openreport.ts";
import { OpenReportPublisher } from "../sinks/openreports/openreport-publisher.ts";

export interface OpenReportParts {
  config: Config;
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  isLeader: () => boolean;
}

/** Returns undefined where copies are switched off. */
export function createOpenReportPublisher(parts: OpenReportParts): OpenReportPublisher | undefined {
  const { config, client, clock, logger, isLeader } = parts;
  const { enabled, maxResults, minIntervalMs, results, unknownSeverity } = config.openReports;
  if (enabled === "false") return undefined;
  const options = {
    maxResults,
    results,
    unknownSeverity,
    thresholds: config.severity.thresholds,
    clusterName: config.cluster.name,
  };
  return new OpenReportPublisher({
    client,
    clock,
    logger,
    isLeader,
    minIntervalMs,
    maxReports: config.memory.maxReports,
    isRequired: enabled === "true",
    mapping: {
      copyName: openReportName,
      map: (report, limits, mostThatFit) => toOpenReport(report, { ...options, mostThatFit }, limits),
    },
  });
}
