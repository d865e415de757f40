// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import type { FollowOptions } from "../../../src/kube/follow.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { PolicyWatch } from "../../../src/policies/policy-watch.ts";
import { FakeClock } from "../../support/fake-clock.ts";

test("policies beyond the bound are counted once, and the kind is known again when none is left out", async () => {
  const clock = new FakeClock();
  const policy = (n: number) => ({ metadata: { name: `p${n}`, namespace: "shop", uid: `u${n}`, generation: 1 } });
  const events: [string, number][] = [];
  const client: FollowOptions["client"] = {
    request: async <T>() => ({ metadata: { resourceVersion: "1" }, items: [1, 2, 3].map(policy) }) as T,
    stream: async function* ({ path, signal, onOpen }) {
      onOpen?.();
      while (!signal?.aborted) {
        await clock.sleep(1000, signal);
        const [type, n] = (path.endsWith("/kubearmorpolicies") && events.shift()) || [];
        if (type !== undefined) yield { type, object: policy(n as number) };
      }
    },
  };
  const changes: (ReadonlySet<string> | undefined)[] = [];
  const onChange = (names: ReadonlySet<string> | undefined) => changes.push(names);
  // One of three is left out.
  const watch = new PolicyWatch({ client, clock, logger: silentLogger, onChange, maxPerKind: 2 });
  const look = () => watch.stats().find(({ kind }) => kind === "KubeArmorPolicy");
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  await clock.advance(500);
  expect(look()).toMatchObject({ knowledge: "unknown", objects: 2, leftOut: 1 });

  for (const type of ["MODIFIED", "MODIFIED"]) events.push([type, 3]);
  await clock.advance(3000);
  expect(look()).toMatchObject({ objects: 2, leftOut: 1 });

  changes.length = 0;
  events.push(["DELETED", 3]);
  await clock.advance(2000);
  expect(look()).toMatchObject({ knowledge: "known", objects: 2, leftOut: 0 });
  expect(changes).toEqual([undefined]);
  stop.abort();
  await running;
});
