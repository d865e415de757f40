// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two electors on the Leases of a real API server: what it stores, refuses and forgets, and outages of it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KubeClient } from "../../src/kube/client.ts";
import { LeaderElector } from "../../src/leadership/election/leader-elector.ts";
import { LeaseStore } from "../../src/leadership/election/lease.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { eventually } from "../support/eventually.ts";
import { createKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

/** Short, and long enough for a machine that is busy with other tests. */
const TIMES = { leaseDurationMs: 4000, renewDeadlineMs: 3000, retryPeriodMs: 200 };
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

class Replica {
  readonly identity: string;
  readonly elector: LeaderElector;
  readonly client: KubeClient;
  readonly stop = new AbortController();
  /** The reason of each loss. */
  readonly losses: unknown[] = [];
  readonly #done: Promise<void>;

  constructor(identity: string, namespace: string, kubeconfigPath: string) {
    this.identity = identity;
    this.client = createKubeClient(kubeconfigPath);
    const options = { namespace, name: "operator", identity, ...TIMES };
    this.elector = new LeaderElector(options, this.client, systemClock, silentLogger);
    this.#done = this.#run();
  }

  /** Leads whenever it can. */
  async #run(): Promise<void> {
    for (;;) {
      const term = await this.elector.acquire(this.stop.signal);
      if (term === undefined) return;
      const leaders = replicas.filter(({ elector }) => elector.isLeader).map(({ identity }) => identity);
      if (leaders.length > 1) overlaps.push(leaders.join(" and "));
      await new Promise((resolve) => term.addEventListener("abort", resolve));
      this.losses.push(term.reason);
    }
  }

  /** Resolves when it leads. */
  waitUntilLeader(): Promise<true> {
    return eventually(`${this.identity} leads`, () => this.elector.isLeader);
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.elector.release();
    await this.#done;
    await this.client.close();
  }
}

const cluster = useCluster();
let namespace: string;
let namespaces = 0;
let replicas: Replica[] = [];
let overlaps: string[] = [];

function createReplica(identity: string, kubeconfigPath = cluster.kubeconfigPath, place = namespace): Replica {
  const created = new Replica(identity, place, kubeconfigPath);
  replicas.push(created);
  return created;
}

/** A leader, and a replica that has seen its Lease. */
async function createPair(): Promise<[Replica, Replica]> {
  const a = createReplica("a");
  await a.waitUntilLeader();
  const b = createReplica("b");
  await eventually("b has seen the Lease", () => b.elector.holder);
  return [a, b];
}

async function readLease() {
  const { body } = await cluster.request("GET", getLeasePath());
  return body;
}

function getLeasePath(): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/operator`;
}

function runKubectl(...args: string[]): Promise<string> {
  return cluster.kubectl(["-n", namespace, ...args]);
}

/** Resolves when the Lease was renewed `times` times from now. */
async function waitForRenewals(times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    const before = (await readLease()).metadata?.resourceVersion;
    await eventually("a renewal", async () => {
      const version = (await readLease()).metadata?.resourceVersion;
      return version !== undefined && version !== before;
    });
  }
}

describeReal("electors on a real API server", () => {
  beforeEach(async () => {
    namespaces += 1;
    namespace = `election-${namespaces}`;
    overlaps = [];
    await cluster.kubectl(["create", "namespace", namespace]);
  });

  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.end()));
    replicas = [];
    expect(overlaps).toEqual([]);
  });

  describe("two replicas", () => {
    test("agree on one, and hand over when it releases", async () => {
      const [a, b] = await createPair();
      expect([b.elector.isLeader, b.elector.holder]).toEqual([false, "a"]);
      const first = await readLease();
      expect(first.spec).toEqual({
        holderIdentity: "a",
        leaseDurationSeconds: 4,
        acquireTime: expect.stringMatching(MICRO_TIME),
        renewTime: expect.stringMatching(MICRO_TIME),
        leaseTransitions: 0,
      });
      expect(first.metadata.labels).toEqual({ "app.kubernetes.io/managed-by": "policy-violation-operator" });
      await waitForRenewals(3);
      const second = await readLease();
      expect(second.spec.acquireTime).toBe(first.spec.acquireTime);
      expect(second.spec.renewTime > first.spec.renewTime).toBe(true);

      await a.end();
      await b.waitUntilLeader();
      expect((await readLease()).spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
      expect(a.losses).toEqual([`the Lease ${namespace}/operator is being released`]);
      await b.end();
      expect((await readLease()).spec).toMatchObject({
        holderIdentity: "",
        leaseDurationSeconds: 1,
        leaseTransitions: 1,
      });
    });

    test("keep the leader when the Lease is annotated or deleted", async () => {
      const [a, b] = await createPair();
      await runKubectl("annotate", "lease", "operator", "note=kept");
      await waitForRenewals(2);
      expect((await readLease()).metadata.annotations).toEqual({ note: "kept" });

      const { uid } = (await readLease()).metadata;
      await runKubectl("delete", "lease", "operator");
      await eventually("a new Lease", async () => {
        const found = (await readLease()).metadata?.uid;
        return found !== undefined && found !== uid;
      });
      await waitForRenewals(2);
      expect((await readLease()).spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 0 });
      expect([a.losses, a.elector.isLeader, b.elector.isLeader]).toEqual([[], true, false]);
    });

    test("don't lead together when one that is cut off is succeeded by the other", async () => {
      const [a, b] = await createPair();
      await a.client.close();
      await b.waitUntilLeader();
      expect(a.losses).toEqual([
        expect.stringMatching(`^the Lease ${namespace}/operator was not renewed for 3 s: .*the client is closed`),
      ]);
      expect(a.elector.isLeader).toBe(false);
      expect((await readLease()).spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
    });
  });

  describe("an API server that", () => {
    test.each([
      ["hangs", () => cluster.freezeApiServer(), () => cluster.thawApiServer()],
      ["is down", () => cluster.stopApiServer(), () => cluster.startApiServer()],
    ])("%s ends leadership, and one leads again when it is back", async (_, end, begin) => {
      const [a, b] = await createPair();
      await end();
      try {
        await eventually("the loss is reported to a", () => a.losses.length > 0);
        expect(a.losses).toEqual([expect.stringMatching(`^the Lease ${namespace}/operator was not renewed for 3 s: `)]);
        // Both go on asking; neither gets anywhere.
        await eventually("b has a problem", () => b.elector.problem);
        expect([a.elector.isLeader, b.elector.isLeader]).toEqual([false, false]);
      } finally {
        await begin();
      }
      const leader = await eventually("a leader", () => replicas.find(({ elector }) => elector.isLeader));
      expect((await readLease()).spec.holderIdentity).toBe(leader.identity);
      expect(leader.elector.problem).toBeUndefined();
    });
  });

  describe("a replica without", () => {
    test("rights says which Role it needs, and leads with no more than that", async () => {
      const token = await cluster.createServiceAccountToken(namespace, "replica");
      const a = createReplica("a", cluster.kubeconfigFor(token));
      const problem = await eventually("a problem", () => a.elector.problem);
      expect(problem).toContain(
        `a Role in namespace ${namespace} must allow this ServiceAccount to create leases and to get and update the lease operator`,
      );
      // As in the chart.
      const rule = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
      const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "r", namespace } };
      const rules = [
        { ...rule, verbs: ["create"] },
        { ...rule, resourceNames: ["operator"], verbs: ["get", "update"] },
      ];
      await cluster.apply(JSON.stringify({ ...role, rules }));
      await runKubectl("create", "rolebinding", "r", "--role=r", `--serviceaccount=${namespace}:replica`);
      await a.waitUntilLeader();
      await waitForRenewals();
      await a.end();
      expect((await readLease()).spec).toMatchObject({ holderIdentity: "", leaseTransitions: 0 });
    });

    test("its namespace says so, and leads when it is there", async () => {
      const place = `${namespace}-late`;
      const a = createReplica("a", cluster.kubeconfigPath, place);
      expect(await eventually("a problem", () => a.elector.problem)).toContain(
        `namespace ${place} does not exist or is being deleted: create it, or set leaderElection.leaseNamespace, or run with --no-leader-elect`,
      );
      await cluster.kubectl(["create", "namespace", place]);
      await a.waitUntilLeader();
    });
  });

  test("a Lease that a crashed holder left is taken when its own duration has passed", async () => {
    const time = "2001-01-01T00:00:00.000000Z";
    const spec = { holderIdentity: "gone", leaseDurationSeconds: 2, acquireTime: time, renewTime: time };
    const metadata = { name: "operator", namespace };
    await cluster.apply(JSON.stringify({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec }));
    const a = createReplica("a");
    expect(await eventually("a has seen the Lease", () => a.elector.holder)).toBe("gone");
    await a.waitUntilLeader();
    expect((await readLease()).spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 1 });
    // Old as its times are, it is not expired to one who has just come, and asks every 200 to 440 ms.
    const asked = cluster
      .auditEntries()
      .filter((e) => e.stage === "ResponseComplete" && e.requestURI.startsWith(getLeasePath()))
      .filter((e) => e.userAgent?.startsWith("policy-violation-operator/"))
      .map(({ verb }) => verb);
    expect(asked.slice(0, 4)).toEqual(["get", "get", "get", "get"]);
  });

  test("an update of a Lease that was deleted is refused, and creates none", async () => {
    const client = createKubeClient(cluster.kubeconfigPath);
    const store = new LeaseStore(client, namespace, "operator");
    const call = { timeoutMs: 10_000, signal: undefined };
    const time = "2026-11-23T10:00:00.123456Z";
    const record = {
      holder: "a",
      durationSeconds: 15,
      acquireTime: time,
      renewTime: time,
      transitions: 2,
      unwrittenSince: time,
      missingSince: "",
      streamGaps: "[]",
      standby: "b",
    };
    const created = await store.create(record, call);
    expect(created.record).toEqual(record);
    expect(await store.read(call)).toEqual(created);
    await expect(store.create(record, call)).rejects.toMatchObject({ code: "AlreadyExists" });
    await runKubectl("delete", "lease", "operator");
    await expect(store.update(created, record, call)).rejects.toMatchObject({ code: "Conflict" });
    expect(await store.read(call)).toBeUndefined();
    await client.close();
  });
});
