// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `run`: starts the operator's parts in order and stops them in reverse.
// The states of the election (leadership/election/elector-states.ts) decide about writing: acquiring is a standby, leading writes,
// regaining is suspended, and idle after it, because another replica has led, exits.

import { waitForAbort } from "../lib/clock.ts";
import { monitorEventLoopStalls } from "./event-loop-monitor.ts";
import { createMetricsSource } from "./operator-metrics.ts";
import { CLOSING_SHARE, createOperatorParts, type OperatorParts, type OperatorSettings } from "./operator-parts.ts";
import { computeReadiness } from "./readiness.ts";
import { startServers } from "./servers.ts";
import { StopSteps } from "./stop-steps.ts";

/**
 * Milliseconds for which reading waits for the first look at the Lease. What is read after the Lease was taken from a
 * leader that released it can't be in that leader's reports.
 */
const FIRST_LOOK_MS = 1000;

/** Runs until the signal aborts, then writes pending counts within the grace period. Returns the exit code. */
export async function runOperator(settings: OperatorSettings, stop: AbortSignal): Promise<number> {
  const { config, logger, version, kubeConfig } = settings;
  const { mode, relay } = config.feed;
  const feed = mode === "nodes" ? { mode } : { mode, relay: relay.address };
  logger.info({ version, server: kubeConfig.server, kubeconfig: kubeConfig.source, ...feed }, "starting");
  const operator = await Operator.create(settings);
  return await operator.run(stop);
}

class Operator {
  readonly #settings: OperatorSettings;
  readonly #parts: OperatorParts;
  /** Ends of all that has started. */
  readonly #steps: StopSteps;
  /** True where another replica has led after this one, and writes the counts that are pending here. */
  #wasOvertaken = false;

  static async create(settings: OperatorSettings): Promise<Operator> {
    const steps = new StopSteps(settings.logger);
    return await steps.cover(async () => {
      const operator = new Operator(settings, steps);
      await operator.#listen();
      return operator;
    });
  }

  private constructor(settings: OperatorSettings, steps: StopSteps) {
    this.#settings = settings;
    this.#steps = steps;
    this.#parts = createOperatorParts(settings, steps);
  }

  /** Reads from the start and writes while it leads, until `stop` aborts or another replica has led. */
  async run(stop: AbortSignal): Promise<number> {
    const { pipeline, replica, source } = this.#parts;
    const end = new AbortController();
    const until = AbortSignal.any([stop, end.signal]);
    until.addEventListener("abort", () => pipeline.takeover.persistedUntil.onReadingEnds(), { once: true });
    const standingBy = replica ? replica.runStandby(until) : Promise.resolve(NEVER);
    await this.#waitForFirstLook(until);
    const reading = source.run(pipeline, until);
    const endWatch = monitorEventLoopStalls(this.#settings.clock, (ms) => pipeline.onEventLoopStall(ms));
    const leading = await standingBy;
    const last = leading && (await this.#write(leading, until));
    end.abort();
    await reading;
    endWatch();
    return await this.#close(last);
  }

  async #waitForFirstLook(until: AbortSignal): Promise<void> {
    const { replica } = this.#parts;
    if (!replica) return;
    const over = new AbortController();
    const timeout = this.#settings.clock.sleep(FIRST_LOOK_MS, AbortSignal.any([until, over.signal]));
    await Promise.race([replica.looked, timeout]);
    over.abort();
    replica.onReadingStarts();
  }

  /**
   * Writes while this replica leads. Alerts are counted also while it does not: if it leads again and no other replica
   * has led meanwhile, their counts are written. Returns the term in which it was stopped; undefined when another
   * replica has led, which has read the same pending alerts.
   */
  async #write(first: AbortSignal, until: AbortSignal): Promise<AbortSignal | undefined> {
    const { elector, context, pipeline } = this.#parts;
    for (let leading: AbortSignal | undefined = first; leading; ) {
      const isOver = AbortSignal.any([until, leading]);
      // Before the reports: a policy that is not known yet would have every stored report written again.
      await context.follow(isOver);
      await this.#load(isOver);
      if (this.#isLoaded && !isOver.aborted) pipeline.controller.start();
      await waitForAbort(isOver);
      if (until.aborted) return leading;
      await pipeline.controller.suspend();
      leading = await elector?.regain(until);
      if (until.aborted) return leading;
    }
    this.#settings.logger.error({ leader: elector?.holder }, "leadership lost to another replica, exiting");
    this.#wasOvertaken = true;
    return undefined;
  }

  get #isLoaded(): boolean {
    return this.#parts.pipeline.takeover.listing === undefined;
  }

  async #load(until: AbortSignal): Promise<void> {
    const { pipeline, replica } = this.#parts;
    if (!this.#isLoaded) await pipeline.load(until, replica?.previousLeader);
  }

  /** Writes pending counts while the term lasts and there is time. */
  async #close(term: AbortSignal | undefined): Promise<number> {
    const { config, clock, logger } = this.#settings;
    const graceMs = config.shutdown.graceMs;
    logger.info({ graceMs }, "shutting down, flushing reports");
    const deadline = new AbortController();
    const cancel = clock.after(graceMs * (1 - CLOSING_SHARE), () => deadline.abort());
    if (term) await this.#writeRest(AbortSignal.any([deadline.signal, term]));
    cancel();
    await this.#steps.run();
    return this.#end(term !== undefined);
  }

  /** Also runs when stopped before the stored reports were listed: their counts continue in this write. */
  async #writeRest(until: AbortSignal): Promise<void> {
    await this.#load(until);
    if (this.#isLoaded) await this.#parts.pipeline.controller.flush(until);
  }

  /** Logs the end. Returns the exit code; `isLeader` until the stop. */
  #end(isLeader: boolean): number {
    const { logger } = this.#settings;
    const { aggregator, counters, takeover } = this.#parts.pipeline;
    // Until the reports could be listed, a leader keeps its alerts as a standby does.
    const held = isLeader && !this.#isLoaded ? (takeover.counters?.held ?? 0) : 0;
    const unwritten = aggregator.stats.unwritten + held;
    const fields = { ...counters, ...(takeover.counters && { standby: takeover.counters }) };
    if (this.#wasOvertaken) {
      logger.warn({ pending: unwritten, ...fields }, "stopped after lost leadership");
      return 1;
    }
    if (unwritten === 0) {
      logger.info(fields, "stopped, all counts written");
      return 0;
    }
    // Another replica, if there is one, has read the same alerts.
    logger.error({ pending: unwritten, ...fields }, "stopped with counts not written");
    return 1;
  }

  async #listen(): Promise<void> {
    const { passing } = this.#parts;
    const source = createMetricsSource(this.#settings.config, this.#parts);
    const readiness = () => computeReadiness(this.#parts);
    const close = await startServers({ ...this.#settings, source, passing, readiness });
    this.#steps.onStop("http servers", close);
  }
}

/** With one replica, leadership never ends. */
const NEVER = new AbortController().signal;
