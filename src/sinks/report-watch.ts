// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows the reports in the Kubernetes API, for a standby.
// Invariant: objects without a report's form are skipped; the reason why reports can't be followed is logged once per
// outage.

import { CLUSTER_REPORT_KIND, CLUSTER_REPORT_PLURAL, REPORT_KIND, REPORT_PLURAL } from "../api/names.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { ApiRequester, ApiStreamer } from "../kube/client.ts";
import { type FollowObserver, follow } from "../kube/follow.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { toApiPath } from "../lib/object-key.ts";
import { PAGE_BYTES, parseReport, REPORTS_API, SELECTOR } from "./cluster-sink.ts";
import type { ReportObserver, ReportWatch } from "./report-sink.ts";

export interface ReportWatchOptions {
  client: ApiRequester & ApiStreamer;
  clock: Clock;
  logger: Logger;
  /** Reports per page of a list; default 500. */
  pageSize?: number;
}

/** Milliseconds. A standby without permission or CRDs waits for a person to fix that, so it retries soon. */
const ABSENT_RETRY_MS = 5000;
const NOT_YET = "the reports are not listed yet";

/** Returns a watch over both kinds of reports. Run it once at a time. */
export function createReportWatch(options: ReportWatchOptions): ReportWatch {
  const { client, clock, logger, pageSize } = options;
  const followed = [
    new FollowedKind(REPORT_PLURAL, REPORT_KIND, logger),
    new FollowedKind(CLUSTER_REPORT_PLURAL, CLUSTER_REPORT_KIND, logger),
  ];
  return {
    async run(observer, signal) {
      const each = followed.map(async (kind) => {
        const collection = {
          path: toApiPath(REPORTS_API, kind.plural),
          labelSelector: SELECTOR,
          pageBytes: PAGE_BYTES,
          absentRetryMs: ABSENT_RETRY_MS,
        };
        await follow({ client, clock, pageSize, ...collection }, kind.observe(observer), signal);
        kind.problem = NOT_YET;
      });
      await Promise.all(each);
    },
    get problem() {
      return followed.map((kind) => kind.problem).find((problem) => problem !== undefined);
    },
  };
}

class FollowedKind {
  /** Reason why the reports can't be followed; undefined while they are. */
  problem: string | undefined = NOT_YET;
  readonly plural: string;
  readonly #kind: Report["kind"];
  readonly #logger: Logger;

  constructor(plural: string, kind: Report["kind"], logger: Logger) {
    this.plural = plural;
    this.#kind = kind;
    this.#logger = logger;
  }

  observe(observer: ReportObserver): FollowObserver {
    let isListing = false;
    // Another form is unexpected; listing before a write reports it.
    const pass = (object: unknown, how: (report: Report) => void) => {
      const report = parseReport(object, this.#kind);
      if (report !== undefined) how(report);
    };
    return {
      onListing: () => {
        isListing = true;
      },
      onObject: (object) => pass(object, (report) => observer.onStored(report, isListing ? "listed" : "changed")),
      onListed: () => {
        isListing = false;
        observer.onListed(this.#kind);
      },
      onRemoved: (object) => pass(object, (report) => observer.onRemoved(report)),
      onOpen: (wasInterrupted) => {
        this.problem = undefined;
        if (wasInterrupted) this.#logger.info({ reports: this.plural }, "following reports again");
      },
      onProblem: ({ message, isNew }) => {
        this.problem = message;
        if (isNew) this.#logger.warn({ reports: this.plural, answer: message }, "failed to follow reports, retrying");
      },
    };
  }
}
