// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The configuration as the pipeline takes it.

import type { Config } from "./config/config.ts";
import type { PipelineOptions } from "./controller/pipeline.ts";

/** What of the configuration the pipeline needs; `writerId` as there. */
export function pipelineOptions(config: Config, writerId: string | undefined): PipelineOptions {
  const { reports, severity, memory, duplicates, redaction } = config;
  return {
    limits: {
      maxViolations: reports.maxViolations,
      maxBytes: reports.maxBytes,
      maxPodsPerViolation: reports.maxPodsPerViolation,
    },
    severity: severity.thresholds,
    pace: {
      firstWriteDelayMs: reports.firstWriteDelayMs,
      minIntervalMs: reports.minIntervalMs,
      maxIntervalMs: reports.maxIntervalMs,
    },
    writesPerSecond: reports.writesPerSecond,
    writeBurst: reports.writeBurst,
    maxViolations: memory.maxViolations,
    duplicates,
    redaction,
    writerId,
  };
}
