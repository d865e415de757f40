// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Stages of the pipeline, built in the order of the flow: ingest → aggregate → reconcile, and what hangs on them.
// Invariant: one way. The only arrow back is a controller's observer, which learns what is persisted.

import { Aggregator } from "../../aggregate/aggregator.ts";
import { StreamCoverage } from "../../aggregate/gaps/stream-coverage.ts";
import { getCellBounds } from "../../aggregate/memory-budget.ts";
import { recordEventUpdates } from "../../events/event-updates.ts";
import { GapEvents } from "../../events/gap-events.ts";
import { AlertHash } from "../../ingest/cells/alert-hash.ts";
import { CellStore } from "../../ingest/cells/cell-store.ts";
import { MAX_AHEAD_US } from "../../ingest/decode.ts";
import { DuplicateFilter } from "../../ingest/duplicates.ts";
import { rememberClean } from "../../ingest/evidence/clean-texts.ts";
import { createRedactor, type Redact } from "../../ingest/evidence/redact.ts";
import { Ingest, type IngestParts } from "../../ingest/ingest.ts";
import { IngestCounters } from "../../ingest/ingest-counters.ts";
import { LeaderTakeover } from "../../leadership/leader-takeover.ts";
import { runInTurns } from "../../lib/pacing/steps.ts";
import { type EpochUs, toEpochUs } from "../../lib/time.ts";
import type { ControllerObserver } from "../../reconcile/controller-observer.ts";
import { MovedSets } from "../../reconcile/namespaces/moved-sets.ts";
import { ReportContext } from "../../reconcile/report-context.ts";
import { ReportController } from "../../reconcile/report-controller.ts";
import { ReportQueue } from "../../reconcile/report-queue.ts";
import { startRetentionSweeps } from "../../reconcile/retention-sweep.ts";
import { NameResolution } from "./name-resolution.ts";
import type { PipelineOptions, PipelineParts } from "./pipeline-parts.ts";
import { StreamGaps } from "./stream-gaps.ts";

export interface PipelineStages {
  counters: IngestCounters;
  coverage: StreamCoverage;
  redact: Redact;
  cells: CellStore;
  aggregator: Aggregator;
  gapEvents: GapEvents;
  gaps: StreamGaps;
  controller: ReportController;
  context: ReportContext;
  takeover: LeaderTakeover;
  resolution: NameResolution;
}

type OnDirty = ConstructorParameters<typeof Aggregator>[1];
type Built<K extends keyof PipelineStages> = Pick<PipelineStages, K> & {
  queue: ReportQueue;
  movedSets: MovedSets | undefined;
};

export function createStages(options: PipelineOptions, parts: PipelineParts): PipelineStages {
  const { clock, journaling, events, self, policies, acceptances } = parts;
  const counters = new IngestCounters();
  const coverage = new StreamCoverage();
  const redact = rememberClean(createRedactor(options.redaction, counters));
  const cells = new CellStore(getCellBounds(options.memory), redact);
  const queue = new ReportQueue(options.pace, clock);
  const onDirty: OnDirty = (key, urgency) => {
    queue.add(key, urgency);
    journaling?.wake();
  };
  const aggregator = new Aggregator(options.memory, onDirty, journaling, {
    cells,
    run: (steps) => void runInTurns(steps, clock),
  });
  const resolution = new NameResolution({ ledgers: aggregator.ledgers, counters, onDirty });
  const gapEvents = new GapEvents({ events, clock, self, afterMs: options.gapEventMs });
  const gaps = new StreamGaps(
    {
      soonMs: options.pace.maxIntervalMs / 2,
      isStated: options.standby !== undefined,
      areNodesRead: parts.nodes !== undefined,
    },
    { aggregator, coverage, clock },
  );
  journaling?.attach(aggregator, (gap) => coverage.addEndedGap(gap));
  const movedSets = journaling && new MovedSets({ writerId: journaling.writerId, removed: aggregator.removed });
  const controller = createController(options, parts, { aggregator, coverage, queue, movedSets });
  const context = new ReportContext({ aggregator, queue, policies, acceptances });
  const takeover = createTakeover(options, parts, {
    ...{ aggregator, coverage, queue, controller, gapEvents, movedSets },
  });
  const observers = [
    takeover,
    takeover.persistedUntil,
    context,
    recordEvents(parts),
    resolution,
    journaling,
    movedSets,
  ];
  for (const observer of observers) if (observer) controller.observe(observer);
  startRetentionSweeps(options.retention, {
    ...parts,
    sweep: (...bounds) => {
      if (controller.isActive) void runInTurns(aggregator.expire(...bounds), clock);
    },
  });
  const built = { counters, coverage, redact, cells, aggregator, resolution };
  return { ...built, gapEvents, gaps, controller, context, takeover };
}

/** Creates the first stage, which counts alerts where the takeover says. */
export function createIngest(
  options: PipelineOptions,
  { clock, maxAheadUs = MAX_AHEAD_US, otherNowMs }: PipelineParts,
  stages: PipelineStages,
  callbacks: Pick<IngestParts, "nowUs" | "onRejected" | "onThrottled">,
): Ingest {
  const { aggregator, takeover, cells, redact, counters, resolution } = stages;
  const createSeed = () => Math.floor(clock.random() * 2 ** 32) | 0;
  return new Ingest({
    ...{ ...callbacks, cells, redact, counters },
    get maxAheadUs() {
      return maxAheadUs + takeover.clockBehindUs;
    },
    sharedNowUs: () => toOptionalUs(otherNowMs?.()),
    names: resolution.names,
    selector: takeover,
    findRefusal: (namespace) => aggregator.findRefusal(namespace),
    hash: new AlertHash({ low: createSeed(), high: createSeed() }),
    duplicates: new DuplicateFilter(options.duplicates),
    limitsSearch: options.writerId !== undefined,
  });
}

function createController(
  options: PipelineOptions,
  parts: PipelineParts,
  { aggregator, coverage, queue, movedSets }: Built<"aggregator" | "coverage">,
): ReportController {
  const { limits, severity } = options;
  const { policies, acceptances, nodes, onWriteResult = () => {} } = parts;
  const sink = movedSets ? movedSets.mark(parts.sink) : parts.sink;
  return new ReportController(
    { ...options, writerId: getWriterId(options, parts) },
    {
      ...{ ...parts, sink, aggregator, queue, onResult: onWriteResult },
      render: () => ({
        ...{ limits, severity, policies, acceptances, nodes: nodes?.() },
        continuousSinceUs: toOptionalUs(coverage.coveredSinceMs),
      }),
    },
  );
}

function createTakeover(
  options: PipelineOptions,
  parts: PipelineParts,
  { gapEvents, ...stages }: Built<"aggregator" | "coverage" | "controller" | "gapEvents">,
): LeaderTakeover {
  const { sink, clock, logger, journaling, otherNowMs } = parts;
  return new LeaderTakeover(
    { standby: options.standby, writerId: getWriterId(options, parts) },
    { ...{ sink, clock, logger, journaling, otherNowMs }, ...stages, onGap: (gap) => gapEvents.startGap(gap) },
  );
}

/** The journal keeps the id of the process that began it. */
function getWriterId({ writerId }: PipelineOptions, { journaling }: PipelineParts): string | undefined {
  return journaling?.writerId ?? writerId;
}

/** Records Events for what each write brings, and passes the report on. */
function recordEvents({ events, onReport }: PipelineParts): ControllerObserver {
  return {
    onWritten: (_ledger, report) => onReport?.(report),
    recordWritten: (ledger, report) => recordEventUpdates(ledger, report, (update) => events.record(update)),
  };
}

function toOptionalUs(ms: number | undefined): EpochUs | undefined {
  return ms === undefined ? undefined : toEpochUs(ms);
}
