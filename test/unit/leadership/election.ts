// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Candidates for one Lease on a fake clock, and their log.

import { expect } from "vitest";
import { LeaderElector, type LeaderElectorOptions } from "../../../src/leadership/election/leader-elector.ts";
import type { ClaimFacts } from "../../../src/leadership/election/lease-claim.ts";
import type { Logger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeProcess, LeaseConnection, LeaseServer } from "./lease-server.ts";

export interface Logged {
  level: string;
  fields: object;
  message: string;
}

export interface Replica {
  identity: string;
  elector: LeaderElector;
  process: FakeProcess;
  connection: LeaseConnection;
  logged: Logged[];
  /** Aborts the acquiring that `run` started. */
  stop: AbortController;
  /** The signals of all terms so far. */
  terms: AbortSignal[];
  /** End of each term, by the world's clock. */
  lostAtMs: number[];
  /** Number of times that `acquire` returned without leadership. */
  gaveUp: number;
  /** Tries to lead, once. */
  run: () => Promise<void>;
}

/** client-go's defaults. */
export const DEFAULTS = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 };

export class Election {
  readonly world = new FakeClock(Date.UTC(2026, 10, 23, 10));
  readonly server = new LeaseServer();
  readonly startMs = this.world.nowMs();

  createCandidate(
    identity: string,
    options: Partial<LeaderElectorOptions & ClaimFacts> = {},
    process = new FakeProcess(this.world, () => 0.5),
  ): Replica {
    const connection = new LeaseConnection(this.world, process, this.server);
    const logged: Logged[] = [];
    const at = (level: string) => (fields: object, message: string) => void logged.push({ level, fields, message });
    const logger: Logger = { debug() {}, info: at("info"), warn: at("warn"), error: at("error") };
    const elector = new LeaderElector(
      { namespace: "security", name: "operator", identity, ...DEFAULTS, ...options },
      connection,
      process,
      logger,
    );
    const stop = new AbortController();
    const candidate: Replica = {
      ...{ identity, elector, process, connection, logged, stop },
      terms: [],
      lostAtMs: [],
      gaveUp: 0,
      run: async () => {
        const term = await elector.acquire(stop.signal, options);
        if (term === undefined) {
          candidate.gaveUp += 1;
          return;
        }
        candidate.terms.push(term);
        term.addEventListener("abort", () => candidate.lostAtMs.push(this.world.nowMs()));
      },
    };
    return candidate;
  }

  /** A candidate that tries to lead. */
  startCandidate(...args: Parameters<Election["createCandidate"]>): Replica {
    const candidate = this.createCandidate(...args);
    void candidate.run();
    return candidate;
  }

  /** Expects that a candidate does not lead after `notYetMs`, and does `thenMs` later. */
  async expectToLead({ elector }: Replica, notYetMs: number, thenMs: number): Promise<void> {
    await this.world.advance(notYetMs);
    expect(elector.isLeader).toBe(false);
    await this.world.advance(thenMs);
    expect(elector.isLeader).toBe(true);
  }

  /** A candidate that leads since 2 ms after it asked: a GET and a POST or PUT took 4 ms of the world's time. */
  async createLeader(identity: string, options: Partial<LeaderElectorOptions & ClaimFacts> = {}): Promise<Replica> {
    const leader = this.startCandidate(identity, options);
    await this.world.advance(10);
    if (!leader.elector.isLeader) throw new Error(`${identity} does not lead`);
    return leader;
  }

  /** Milliseconds since the start. */
  get nowMs(): number {
    return this.world.nowMs() - this.startMs;
  }

  /** Its holder, its times and its number of transitions. */
  get record(): object {
    const { holderIdentity, acquireTime, renewTime, leaseTransitions } = this.server.lease?.spec ?? {};
    return { holderIdentity, acquireTime, renewTime, leaseTransitions };
  }
}
