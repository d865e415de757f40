// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Elects one of several replicas as the leader, on a Lease, compatible with client-go's leader election.
// Invariant: leading ends, by this process's own clock, before the others may take the Lease; each term ends once, with
// a reason. Its states are in elector-states.ts.

import type { ApiRequester } from "../../kube/client.ts";
import type { Deadline } from "../../kube/deadline.ts";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import { getErrorMessage } from "../../lib/error-message.ts";
import type { Logger } from "../../lib/logger.ts";
import { type ElectorEvent, type ElectorState, NEXT_ELECTOR_STATE } from "./elector-states.ts";
import { type LeaseCall, LeaseStore } from "./lease.ts";
import { LeaseAccess } from "./lease-access.ts";
import { type ClaimFacts, LeaseClaim, type LeaseClaimOptions } from "./lease-claim.ts";
import { JITTER_FACTOR } from "./warm-priority.ts";

export interface LeaderElectorOptions extends Omit<LeaseClaimOptions, "onFree" | "onHolder"> {
  /** Namespace and name of the Lease; the Lease is created, its namespace is not. */
  namespace: string;
  name: string;
}

interface Term {
  controller: AbortController;
  deadline: Deadline;
}

/** A candidate for one Lease; it may lead, lose and try again. */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #lease: string;
  readonly #store: LeaseStore;
  readonly #claim: LeaseClaim;
  readonly #access: LeaseAccess;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #requestTimeoutMs: number;
  readonly #released = new AbortController();

  readonly #looked = Promise.withResolvers<void>();

  #state: ElectorState = "idle";
  /** Present exactly while leading. */
  #term: Term | undefined;
  /** The loop that runs; never rejects. */
  #work: Promise<unknown> = Promise.resolve();
  /** Ends the pause before the next try to lead. */
  #endPause: () => void = () => {};
  #releasing: Promise<void> | undefined;

  constructor(options: LeaderElectorOptions, client: ApiRequester, clock: Clock, logger: Logger) {
    const { namespace, name, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
    assert(identity !== "", "a replica has an identity");
    assert(leaseDurationMs > renewDeadlineMs, "leaseDurationMs is more than renewDeadlineMs");
    assert(retryPeriodMs > 0, "retryPeriodMs is more than 0");
    assert(renewDeadlineMs > retryPeriodMs * JITTER_FACTOR, "renewDeadlineMs is more than 1.2 × retryPeriodMs");
    this.#options = options;
    this.#lease = `${namespace}/${name}`;
    this.#clock = clock;
    this.#logger = logger;
    // client-go's rule: a server that hangs leaves time for a second try.
    this.#requestTimeoutMs = renewDeadlineMs / 2;
    this.#store = new LeaseStore(client, namespace, name);
    this.#access = new LeaseAccess(this.#lease, this.#store, logger);
    const onHolder = (holder: string) => logger.info({ lease: this.#lease, holder }, "another replica holds the Lease");
    const onFree = () => this.#endPause();
    this.#claim = new LeaseClaim({ ...options, onHolder, onFree }, this.#store, clock);
  }

  /**
   * True while this process leads, by its clock at this very moment; read it before every guarded write. After a stall
   * it is right at once, while the term's signal aborts a few milliseconds later.
   */
  get isLeader(): boolean {
    return this.#term !== undefined && !this.#term.deadline.isOver;
  }

  /** Holder of the Lease when it was last seen; undefined when it was not seen, or had no holder. */
  get holder(): string | undefined {
    return this.#claim.holder;
  }

  /** Resolves once the first try to lead has ended. */
  get looked(): Promise<void> {
    return this.#looked.promise;
  }

  /** Facts in the Lease about the leader, and about the one before this process. */
  get leaderStatus(): Pick<LeaseClaim, "predecessor" | "persistedHereMs"> {
    return this.#claim;
  }

  /** Why the last try failed and what to do, in a sentence; undefined when it succeeded or found another leader. */
  get problem(): string | undefined {
    return this.#access.problem;
  }

  /**
   * Waits until this process leads, and then renews the Lease in the background. Returns a signal that aborts when
   * leadership is lost or released, with a sentence as its reason; undefined when `signal` aborted, or `release` was
   * called, first. May be called again after a loss. Never rejects. Call `release` in the end, after any result.
   */
  async acquire(signal: AbortSignal, facts: ClaimFacts = {}): Promise<AbortSignal | undefined> {
    this.#claim.facts = facts;
    return await this.#waitToLead(signal, "acquire");
  }

  /**
   * Waits until this process leads again after a loss, as long as no other replica held the Lease meanwhile: then none
   * can have written. Returns undefined as soon as one held it, and otherwise as `acquire` does. Never rejects.
   */
  async regain(signal: AbortSignal): Promise<AbortSignal | undefined> {
    return await this.#waitToLead(signal, "regain");
  }

  async #waitToLead(signal: AbortSignal, event: "acquire" | "regain"): Promise<AbortSignal | undefined> {
    assert(!this.#isTrying, "acquire and regain run once at a time");
    this.#noticeLapse();
    if (this.#term !== undefined) return this.#term.controller.signal;
    this.#updateState(event);
    const acquiring = this.#acquire(AbortSignal.any([signal, this.#released.signal]));
    this.#work = acquiring;
    const term = await acquiring;
    this.#looked.resolve();
    return term?.controller.signal;
  }

  get #isTrying(): boolean {
    return this.#state === "acquiring" || this.#state === "regaining";
  }

  #updateState(event: ElectorEvent): void {
    this.#state = NEXT_ELECTOR_STATE[this.#state][event];
  }

  /**
   * Ends leadership at once and frees the Lease for the others; call it when all guarded work has stopped.
   *
   * Takes about half of renewDeadlineMs at most and never rejects: a Lease that can't be freed expires by itself. This
   * elector can't lead again.
   */
  release(): Promise<void> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  async #acquire(giveUp: AbortSignal): Promise<Term | undefined> {
    for (;;) {
      if (this.#claim.isLost) this.#updateState("taken");
      if (giveUp.aborted) this.#updateState("stopped");
      if (!this.#isTrying) break;
      const deadline = await this.#tryClaim(giveUp);
      // A stalled process may get the answer after its deadline.
      if (deadline !== undefined && !deadline.isOver && !giveUp.aborted) return this.#lead(deadline);
      deadline?.cancel();
      await this.#pause(giveUp);
    }
    this.#claim.forget();
    return undefined;
  }

  /** Waits for the next try; shorter where the Lease becomes free. */
  async #pause(giveUp: AbortSignal): Promise<void> {
    this.#looked.resolve();
    const free = new AbortController();
    this.#endPause = () => free.abort();
    const pauseMs = this.#options.retryPeriodMs * (1 + JITTER_FACTOR * this.#clock.random());
    await this.#clock.sleep(Math.max(pauseMs, this.#access.retryAfterMs), AbortSignal.any([giveUp, free.signal]));
  }

  #lead(deadline: Deadline): Term {
    this.#updateState("won");
    const term = { controller: new AbortController(), deadline };
    this.#term = term;
    this.#logger.info({ lease: this.#lease, holder: this.#options.identity }, "leading");
    this.#work = this.#keepLeading(term);
    return term;
  }

  async #keepLeading(term: Term): Promise<void> {
    const { retryPeriodMs } = this.#options;
    const { signal } = term.controller;
    let pauseMs = retryPeriodMs;
    for (;;) {
      await this.#clock.sleep(pauseMs, signal);
      if (signal.aborted) return;
      const startedMs = this.#clock.monotonicMs();
      const deadline = await this.#tryClaim(signal);
      // Comes first: a term that was over for a moment stays over.
      this.#noticeLapse();
      if (signal.aborted) {
        deadline?.cancel();
        return;
      }
      if (deadline !== undefined) {
        term.deadline.cancel();
        term.deadline = deadline;
      } else if (this.#claim.isLost) {
        const { holder } = this.#claim;
        this.#endTerm(
          "taken",
          `the Lease ${this.#lease} was ${holder ? `taken by ${holder}` : "released by another client"}`,
        );
        return;
      }
      // After a try that took long the next one follows at once.
      pauseMs = Math.min(retryPeriodMs, Math.max(0, startedMs + retryPeriodMs - this.#clock.monotonicMs()));
    }
  }

  /** Tries once to take or keep the Lease; returns the deadline that it won. Never rejects. */
  async #tryClaim(signal: AbortSignal): Promise<Deadline | undefined> {
    this.#access.retryAfterMs = 0;
    try {
      const deadline = await this.#claim.take({
        mayTake: this.#state === "acquiring",
        nextCall: () => this.#createCall(signal),
        onDeadline: () => this.#noticeLapse(),
      });
      this.#access.onSuccess();
      return deadline;
    } catch (error) {
      if (!signal.aborted) this.#access.onFailure(error, this.#term !== undefined);
      return undefined;
    }
  }

  #createCall(signal: AbortSignal): LeaseCall {
    this.#noticeLapse();
    const leftMs = this.#term?.deadline.leftMs ?? this.#requestTimeoutMs;
    return { signal, timeoutMs: Math.max(1, Math.min(this.#requestTimeoutMs, leftMs)) };
  }

  #noticeLapse(): void {
    const term = this.#term;
    if (!term?.deadline.isOver) return;
    const { renewDeadlineMs, retryPeriodMs } = this.#options;
    const why =
      term.deadline.leftMs < -retryPeriodMs
        ? "this process was stalled, or its clock was set"
        : (this.#access.problem ?? "the API server has not answered in time");
    this.#endTerm("expired", `the Lease ${this.#lease} was not renewed for ${renewDeadlineMs / 1000} s: ${why}`);
  }

  #endTerm(event: "taken" | "expired" | "released", reason: string): void {
    this.#updateState(event);
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    term.deadline.cancel();
    const fields = { lease: this.#lease, reason };
    if (event === "released") this.#logger.info(fields, "Lease given up");
    else this.#logger.warn(fields, "lost Lease, stopped writing");
    term.controller.abort(reason);
  }

  async #release(): Promise<void> {
    this.#released.abort();
    this.#endTerm("released", `the Lease ${this.#lease} is being released`);
    const limit = new AbortController();
    const cancelLimit = this.#clock.after(this.#requestTimeoutMs, () => limit.abort());
    try {
      await this.#work;
      const call = { signal: limit.signal, timeoutMs: this.#requestTimeoutMs };
      const wasHeld = await this.#claim.free(call);
      if (!wasHeld) await this.#claim.withdraw(call);
      if (wasHeld) this.#logger.info({ lease: this.#lease }, "Lease released");
    } catch (error) {
      const answer = getErrorMessage(error);
      this.#logger.warn({ lease: this.#lease, answer }, "failed to release Lease, expires by itself");
    } finally {
      cancelLimit();
      this.#claim.forget();
    }
  }
}
