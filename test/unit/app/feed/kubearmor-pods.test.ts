// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The pods of KubeArmor, from a scripted API server.

import { expect, it } from "vitest";
import { followKubeArmorPods } from "../../../../src/app/feed/kubearmor-pods.ts";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

function createPod(uid: string, nodeName?: string, ...ips: string[]): object {
  return {
    metadata: { uid, resourceVersion: "1" },
    spec: { nodeName },
    status: { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

it("reports pods with a node and an address, their changes and their ends", async () => {
  const stop = new AbortController();
  const log: string[] = [];
  const queries: unknown[] = [];
  const lists = [
    [
      createPod("a", "node-a", "10.0.0.1", "fd00::1"),
      createPod("b"),
      createPod("c", "node-c"),
      createPod("d", "node-d", "10.0.0.4"),
    ],
    [createPod("a", "node-a", "10.0.0.1", "fd00::1")],
  ];
  const client = {
    request: <T>(request: { path: string; query?: object }): Promise<T> => {
      queries.push([request.path, request.query]);
      return Promise.resolve({ items: lists.shift(), metadata: { resourceVersion: "1" } } as T);
    },
    async *stream(): AsyncGenerator<unknown, void, undefined> {
      if (lists.length === 0) {
        stop.abort();
        return;
      }
      yield { type: "ADDED", object: createPod("b", "node-b", "10.0.0.2") };
      yield { type: "MODIFIED", object: createPod("b", "node-b", "10.0.0.3") };
      yield { type: "DELETED", object: createPod("b", "node-b", "10.0.0.3") };
      yield {
        type: "ADDED",
        object: { ...createPod("e", "node-e", "10.0.0.5"), status: { phase: "Failed", podIP: "10.0.0.5" } },
      };
      yield { type: "DELETED", object: createPod("c", "node-c") };
      yield { type: "ERROR", object: { code: 410, reason: "Expired" } };
    },
  };
  const clock = new FakeClock(1_000_000);
  const running = followKubeArmorPods({ client, clock }, silentLogger)(
    {
      onNode: ({ uid, node, addresses }) => log.push(`${uid} on ${node} at ${addresses.join(", ")}`),
      onGone: (uid) => log.push(`${uid} gone`),
      onListed: () => log.push("listed"),
    },
    stop.signal,
  );
  while (!stop.signal.aborted) await clock.advance(1_000);
  await running;
  expect(queries[0]).toEqual([
    "/api/v1/pods",
    { labelSelector: "kubearmor-app=kubearmor", limit: 500, continue: undefined },
  ]);
  expect(log).toEqual([
    "a on node-a at 10.0.0.1:32767, [fd00::1]:32767",
    "d on node-d at 10.0.0.4:32767",
    "listed",
    "b on node-b at 10.0.0.2:32767",
    "b on node-b at 10.0.0.3:32767",
    "b gone",
    "a on node-a at 10.0.0.1:32767, [fd00::1]:32767",
    "d gone",
    "listed",
  ]);
});
