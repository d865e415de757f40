// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Events on a real API server, read as a person reads them: with kubectl describe and kubectl events.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EventUpdate, NewEvent } from "../../src/events/event-recorder.ts";
import { createEventSink } from "../../src/events/event-sink.ts";
import { Recorder } from "../../src/events/recorder.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { eventually } from "../support/eventually.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createKubeClient, useKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { SIGNAL } from "../support/signal.ts";
import { beginDeletion } from "../support/terminating-namespace.ts";

const CONTROLLER = "reports.kubearmor.com/policy-violation-operator";

describeReal("Events on a real API server", () => {
  const cluster = useCluster();
  const client = useKubeClient(cluster);
  let namespace: string;
  let namespaces = 0;

  beforeAll(async () => {
    await cluster.apply(`${JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: "worker-1" } })}\n`);
  });

  beforeEach(async () => {
    namespaces += 1;
    namespace = `events-${namespaces}`;
    await cluster.kubectl(["create", "namespace", namespace]);
  });

  function createSink(reportingInstance = "operator-0") {
    return createEventSink({ client, reportingInstance });
  }

  async function createPod(name: string, annotations: Record<string, string> = {}): Promise<string> {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, annotations },
      spec: { nodeName: "worker-1", containers: [{ name: "app", image: "none" }] },
    };
    await cluster.apply(`${JSON.stringify(pod)}\n`);
    return cluster.kubectl(["get", "pod", "-n", namespace, name, "-o", "jsonpath={.metadata.uid}"]);
  }

  function createUpdate(changes: Partial<EventUpdate> = {}): EventUpdate {
    const nowUs = Date.now() * 1000;
    return {
      regarding: { kind: "Pod", namespace, name: "web-0" },
      related: { kind: "PolicyViolationReport", namespace, name: "no-apt", uid: "2f1c-r" },
      policy: "no-apt",
      operation: "Process",
      action: "Block",
      outcome: "Prevented",
      note: "Process /usr/bin/apt by /bin/bash was blocked: policy no-apt (severity 5)",
      count: 1,
      firstUs: nowUs - 20_000_000,
      lastUs: nowUs,
      ...changes,
    };
  }

  /** Runs what is due at once, and no pacing, until nothing is pending. */
  async function runUntilSent(recorder: Recorder, clock: FakeClock): Promise<void> {
    await eventually("nothing is pending", async () => {
      await clock.advance(0);
      return recorder.stats().pending === 0;
    });
  }

  /** Records, and stops when all is sent. */
  async function recordAll(...occurrences: EventUpdate[]) {
    const clock = new FakeClock(Date.now());
    const recorder = new Recorder({ defaultPosture: false }, createSink(), clock, silentLogger);
    for (const one of occurrences) {
      recorder.record(one);
      await runUntilSent(recorder, clock);
    }
    await recorder.stop(0);
    return recorder.stats();
  }

  interface ApiEvent {
    metadata: { name: string };
    eventTime: string;
    series?: { count: number; lastObservedTime: string };
    [other: string]: unknown;
  }

  /** Events of the operator: the API server records some of its own in `default`. */
  async function listEvents(of = namespace): Promise<ApiEvent[]> {
    const path = `/apis/events.k8s.io/v1/namespaces/${of}/events`;
    const list = await client.request<{ items: ApiEvent[] }>({ method: "GET", path });
    return list.items.filter((event) => event["reportingController"] === CONTROLLER);
  }

  /** kubectl's lines with runs of blanks made one. */
  async function readLines(args: string[]): Promise<string[]> {
    return (await cluster.kubectl(args)).split("\n").map((line) => line.trim().replace(/ +/g, " "));
  }

  describe("a violation of a pod", () => {
    test("is an Event that kubectl describe pod and kubectl events show", async () => {
      const uid = await createPod("web-0");
      const reported = await recordAll(createUpdate());
      expect(reported).toMatchObject({ reported: 1, sent: { created: 1, patched: 0 } });

      const described = await readLines(["describe", "pod", "-n", namespace, "web-0"]);
      expect(described.at(-2)).toMatch(
        /^Warning PolicyViolationPrevented \S+ reports\.kubearmor\.com\/policy-violation-operator Process \/usr\/bin\/apt by \/bin\/bash was blocked: policy no-apt \(severity 5\)$/,
      );
      const [header, line] = await readLines(["events", "-n", namespace, "--for", "pod/web-0"]);
      expect(header).toBe("LAST SEEN TYPE REASON OBJECT MESSAGE");
      expect(line).toMatch(/^\S+ Warning PolicyViolationPrevented Pod\/web-0 Process \/usr\/bin\/apt by/);

      const [event] = await listEvents();
      expect(event).toMatchObject({
        type: "Warning",
        reason: "PolicyViolationPrevented",
        action: "BlockProcess",
        reportingController: CONTROLLER,
        reportingInstance: "operator-0",
        regarding: { apiVersion: "v1", kind: "Pod", namespace, name: "web-0", uid },
        related: {
          apiVersion: "reports.kubearmor.com/v1alpha1",
          kind: "PolicyViolationReport",
          namespace,
          name: "no-apt",
          uid: "2f1c-r",
        },
      });
      expect(event?.metadata.name).toMatch(/^web-0\.[0-9a-f]{19}$/);
      expect(event?.series).toBeUndefined();
    });

    test("that goes on patches the count, which kubectl shows as (xN over …)", async () => {
      await createPod("web-0");
      const first = createUpdate({ firstUs: 1_795_428_000_123_456, lastUs: 1_795_428_000_123_456 });
      const last = createUpdate({ count: 11, firstUs: 1_795_428_060_000_001, lastUs: 1_795_428_090_000_001 });
      const reported = await recordAll(first, last);
      expect(reported).toMatchObject({ reported: 12, sent: { created: 1, patched: 1 } });
      const stored = await listEvents();
      expect(stored).toHaveLength(1);
      expect(stored[0]?.eventTime).toBe("2026-11-23T10:00:00.123456Z");
      expect(stored[0]?.series).toEqual({ count: 12, lastObservedTime: "2026-11-23T10:01:30.000001Z" });
      const described = await cluster.kubectl(["describe", "pod", "-n", namespace, "web-0"]);
      expect(described).toContain("(x12 over ");
      expect(await cluster.kubectl(["events", "-n", namespace, "--for", "pod/web-0"])).toContain("(x12 over ");
    });

    test("with a count at its first report has it at once", async () => {
      await createPod("web-0");
      await recordAll(createUpdate({ count: 5 }));
      const described = await cluster.kubectl(["describe", "pod", "-n", namespace, "web-0"]);
      expect(described).toMatch(/\(x5 over 2\ds\)/);
    });

    test("with a deleted Event gets a new one", async () => {
      await createPod("web-0");
      const clock = new FakeClock(Date.now());
      const recorder = new Recorder({}, createSink(), clock, silentLogger);
      recorder.record(createUpdate());
      await runUntilSent(recorder, clock);
      expect(recorder.stats().reported).toBe(1);
      await cluster.kubectl(["delete", "events", "-n", namespace, "--all"]);
      recorder.record(createUpdate({ count: 9 }));
      await runUntilSent(recorder, clock);
      expect(recorder.stats().reported).toBe(10);
      expect((await listEvents()).map(({ series }) => series?.count)).toEqual([10]);
      await recorder.stop(0);
    });

    test("that is static is found by kubectl describe too: the uid is the mirror's", async () => {
      await createPod("static-worker-1", { "kubernetes.io/config.mirror": "a1b2c3mirror" });
      await recordAll(createUpdate({ regarding: { kind: "Pod", namespace, name: "static-worker-1" } }));
      const [event] = await listEvents();
      expect(event).toMatchObject({ regarding: { uid: "a1b2c3mirror" } });
      const described = await cluster.kubectl(["describe", "pod", "-n", namespace, "static-worker-1"]);
      expect(described).toContain("PolicyViolationPrevented");
    });

    test("that does not exist, or has no namespace, is lost as pod_gone", async () => {
      const lost = await recordAll(
        createUpdate({ regarding: { kind: "Pod", namespace, name: "no-such-pod" }, count: 2 }),
        createUpdate({ regarding: { kind: "Pod", namespace: "nowhere", name: "web-0" } }),
      );
      expect(lost.lost.pod_gone).toBe(3);
      expect(await listEvents()).toEqual([]);
    });
  });

  describe("a violation of a node", () => {
    test("is an Event in default that kubectl describe node shows", async () => {
      const regarding = { kind: "Node", name: "worker-1" } as const;
      const related = { kind: "ClusterPolicyViolationReport", name: "host-shadow" };
      await recordAll(
        createUpdate({ regarding, related, outcome: "Allowed", action: "Audit (Block)", operation: "File" }),
      );
      const described = await readLines(["describe", "node", "worker-1"]);
      expect(described.at(-2)).toMatch(
        /^Warning PolicyViolationAllowed \S+ reports\.kubearmor\.com\/policy-violation-op/,
      );
      expect(await listEvents("default")).toEqual([
        expect.objectContaining({
          action: "AuditBlockFile",
          related: { apiVersion: "reports.kubearmor.com/v1alpha1", ...related },
        }),
      ]);
    });

    test("that the operator may not read is found by its name", async () => {
      const token = await cluster.createServiceAccountToken(namespace, "nobody");
      const poor = createKubeClient(cluster.kubeconfigFor(token));
      const poorSink = createEventSink({ client: poor, reportingInstance: "i" });
      expect(await poorSink.findUid({ kind: "Node", name: "worker-1" }, SIGNAL)).toEqual({
        kind: "found",
        uid: "worker-1",
      });
      expect(await poorSink.findUid({ kind: "Pod", namespace, name: "web-0" }, SIGNAL)).toMatchObject({
        kind: "refused",
        message: expect.stringContaining('cannot get resource "pods"'),
      });
      await poor.close();
    });
  });

  test("a throttle notice points to no report", async () => {
    await createPod("web-0");
    const notice = createUpdate({ policy: "", operation: "", action: "", outcome: "Throttled", note: "throttled" });
    delete notice.related;
    await recordAll(notice);
    expect(await listEvents()).toEqual([expect.objectContaining({ reason: "AlertsThrottled", action: "Throttle" })]);
  });

  // Each text at the longest that this program lets through, all in one Event: the API server must take it.
  test("the longest texts are within the API server's limits", async () => {
    const name = `${"p".repeat(252)}q`;
    await createPod(name);
    const long = createEventSink({ client, reportingInstance: "i".repeat(253) });
    const clock = new FakeClock(Date.now());
    const recorder = new Recorder({}, long, clock, silentLogger);
    recorder.record(
      createUpdate({
        regarding: { kind: "Pod", namespace, name },
        note: "💥".repeat(1000),
        operation: "O".repeat(300),
        action: "A".repeat(300),
        count: 3_000_000_000,
      }),
    );
    await runUntilSent(recorder, clock);
    expect(recorder.stats()).toMatchObject({ reported: 3_000_000_000, lost: { refused: 0 } });
    const [event] = await listEvents();
    expect(event?.metadata.name).toHaveLength(253);
    expect(event?.series?.count).toBe(2_147_483_647);
    expect(event?.["reportingInstance"]).toBe("i".repeat(128));
    await recorder.stop(0);
  });

  describe("the sink", () => {
    function createEvent(name: string): NewEvent {
      return {
        name,
        namespace,
        reason: "PolicyViolationPrevented",
        action: "BlockProcess",
        note: "n",
        regarding: { apiVersion: "v1", kind: "Pod", namespace, name: "web-0", uid: "u" },
        eventTimeUs: Date.now() * 1000,
      };
    }

    test("takes an Event that exists already for the one of an earlier try", async () => {
      expect(await createSink().create(createEvent("web-0.1"), SIGNAL)).toEqual({ kind: "sent" });
      expect(await createSink().create(createEvent("web-0.1"), SIGNAL)).toEqual({ kind: "sent" });
      expect(await listEvents()).toHaveLength(1);
    });

    test("says when the Event to be patched is gone", async () => {
      const series = { count: 2, lastObservedUs: Date.now() * 1000 };
      expect(await createSink().patchSeries({ namespace, name: "web-0.none" }, series, SIGNAL)).toEqual({
        kind: "gone",
      });
    });

    test("says when the namespace is not there, or is being deleted", async () => {
      const nowhere = { ...createEvent("web-0.2"), namespace: "nowhere" };
      nowhere.regarding = { ...nowhere.regarding, namespace: "nowhere" };
      expect(await createSink().create(nowhere, SIGNAL)).toEqual({ kind: "namespace_gone" });

      const release = await beginDeletion(cluster, namespace);
      expect(await createSink().create(createEvent("web-0.3"), SIGNAL)).toEqual({ kind: "namespace_gone" });
      await release();
    });

    test("reports a refusal in the server's words", async () => {
      const wrong = { ...createEvent("web-0.4"), action: "" };
      expect(await createSink().create(wrong, SIGNAL)).toMatchObject({
        kind: "refused",
        message: expect.stringContaining("action"),
      });
    });
  });
});
