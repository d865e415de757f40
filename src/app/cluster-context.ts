// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Cluster objects that the leader reads for its reports, besides the alerts.
// Invariant: followed only while this process leads; reports wait for them for at most READY_MS.

import { AcceptanceWatch } from "../acceptance/acceptance-watch.ts";
import { createDenials } from "../acceptance/denials.ts";
import type { Config } from "../config/config.ts";
import type { KubeClient } from "../kube/client.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { PolicyWatch } from "../policies/policy-watch.ts";
import type { ReportContext } from "../reconcile/report-context.ts";
import { openReportName, toOpenReport } from "../report/openreport.ts";
import {
  NO_OPEN_REPORTS,
  OpenReportPublisher,
  type OpenReportStats,
} from "../sinks/openreports/openreport-publisher.ts";
import type { PipelineParts } from "./pipeline/pipeline.ts";

export interface ClusterContextParts {
  config: Config;
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** Leadership of this process by its clock at the moment of the call. */
  isLeader: () => boolean;
  /** True where each of several processes writes some reports and the status of their acceptances; default: the leader does. */
  isDivided?: boolean;
}

/** Reports as what they refer to changes. */
export interface DependentReports
  extends Pick<ReportContext, "onAcceptancesChanged" | "onPoliciesChanged" | "matchAcceptances"> {
  /** True where this process has the report; default: it has all. */
  ownsReport?(namespace: string, policy: string): boolean;
}

/**
 * Milliseconds. Policies that are not known by then are reported as unknown; the reports are written again when they
 * are known.
 */
const READY_MS = 5000;

/** Follows what reports refer to: policies, and what people have accepted. */
export class ClusterContext {
  readonly policies: PolicyWatch;
  readonly acceptances: AcceptanceWatch;
  /** Resolves when nothing is followed any more. */
  ended: Promise<unknown> = Promise.resolve();
  readonly #clock: Clock;
  /** Set before anything is followed. */
  #reports: DependentReports | undefined;
  /** Undefined where it is switched off. */
  readonly #openReports: OpenReportPublisher | undefined;

  constructor(parts: ClusterContextParts) {
    const { client, clock, config, logger, isLeader, isDivided } = parts;
    this.#clock = clock;
    this.#openReports = createOpenReportPublisher(parts);
    this.acceptances = new AcceptanceWatch({
      client,
      clock,
      logger,
      onChange: (namespace, policy) => this.#known.onAcceptancesChanged(namespace, policy),
      mayWrite: isDivided ? () => true : isLeader,
      ownsReport: (namespace, policy) => this.#known.ownsReport?.(namespace, policy) ?? true,
      applyDenials: createDenials(config.acceptances),
      matched: (namespace, policy) => this.#known.matchAcceptances(namespace, policy),
    });
    this.policies = new PolicyWatch({
      client,
      clock,
      logger,
      onChange: (names) => this.#known.onPoliciesChanged(names),
    });
  }

  observe(reports: DependentReports): void {
    this.#reports = reports;
  }

  get #known(): DependentReports {
    assert(this.#reports, "the reports are known before anything is followed");
    return this.#reports;
  }

  /** Lookups that the pipeline makes, and the observer of its writes. */
  get catalogs(): Pick<PipelineParts, "policies" | "acceptances" | "onReport"> {
    const { policies, acceptances } = this;
    return {
      policies,
      acceptances,
      onReport: ({ metadata, policy }) => {
        if (metadata.namespace !== undefined) acceptances.onReport(metadata.namespace, policy.name);
      },
    };
  }

  /** Follows until the signal aborts; resolves when all has been asked for once, within 5 s. */
  async follow(signal: AbortSignal): Promise<void> {
    await this.ended;
    this.ended = Promise.all([this.policies.run(signal), this.acceptances.run(signal), this.#openReports?.run(signal)]);
    await this.#waitForReady(signal);
  }

  /** All 0 where copies are switched off. */
  openReportStats(): OpenReportStats {
    return this.#openReports?.stats() ?? NO_OPEN_REPORTS;
  }

  async #waitForReady(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const ready = Promise.all([this.policies.ready(), this.acceptances.ready()]);
    await Promise.race([ready, this.#clock.sleep(READY_MS, until)]);
    over.abort();
  }
}

/** Returns undefined where copies are switched off. */
function createOpenReportPublisher({
  config,
  client,
  clock,
  logger,
  isLeader,
}: ClusterContextParts): OpenReportPublisher | undefined {
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
