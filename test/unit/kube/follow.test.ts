// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, onTestFinished, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import type { KubeStreamRequest } from "../../../src/kube/client.ts";
import { type FollowObserver, type FollowOptions, follow } from "../../../src/kube/follow.ts";
import { waitForAbort } from "../../../src/lib/clock.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { PolicyWatch } from "../../../src/policies/policy-watch.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const OBSERVER: FollowObserver = {
  onListing() {},
  onObject() {},
  onListed() {},
  onRemoved() {},
  onProblem() {},
  onOpen() {},
};

/** A client with empty lists, and with watches that do as `watch` says. */
function createClient(
  watch: (request: KubeStreamRequest) => AsyncGenerator<unknown, void, undefined>,
  list: () => unknown = () => ({ metadata: { resourceVersion: "1" }, items: [] }),
): FollowOptions["client"] {
  return { request: async <T>() => list() as T, stream: watch };
}

/** Follows until the end of the test. */
function startFollowing(
  client: FollowOptions["client"],
  clock: FakeClock,
  observer: Partial<FollowObserver> = {},
): void {
  const stop = new AbortController();
  const following = follow({ client, clock, path: "/apis/g/v1/things" }, { ...OBSERVER, ...observer }, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await following;
  });
}

test("the back-off starts again once a watch has opened", async () => {
  const clock = new FakeClock();
  let opened = 0;
  const client = createClient(async function* ({ onOpen }) {
    opened++;
    onOpen?.();
    yield await Promise.reject(new ApiError("NotAnswered", "lost"));
  });
  startFollowing(client, clock);
  await clock.advance(60_000);
  // At most a second between two tries, however often it was lost.
  expect(opened).toBeGreaterThanOrEqual(55);
});

test("the back-off grows while no watch opens", async () => {
  const clock = new FakeClock();
  let tried = 0;
  const client = createClient(async function* () {
    tried++;
    yield await Promise.reject(new ApiError("Unavailable", "away"));
  });
  startFollowing(client, clock);
  await clock.advance(120_000);
  expect(tried).toBeLessThan(40);
});

test("a problem is new once per code, and again after a watch was open", async () => {
  const clock = new FakeClock();
  const answers = ["Unavailable", "Unauthorized", "Unavailable", "open", "open", "Unavailable"] as const;
  let tries = 0;
  const client = createClient(async function* ({ onOpen }) {
    const answer = answers[tries++];
    if (answer === "open") onOpen?.();
    if (answer !== "open") yield await Promise.reject(new ApiError(answer ?? "Unauthorized", "no"));
  });
  const seen: string[] = [];
  startFollowing(client, clock, {
    onProblem: ({ code, isNew }) => seen.length < answers.length && seen.push(`${code} ${isNew}`),
    onOpen: (wasInterrupted) => seen.push(`open ${wasInterrupted}`),
  });
  await clock.advance(120_000);
  expect(seen).toEqual([
    "Unavailable true",
    "Unauthorized true",
    "Unavailable false",
    "open true",
    "open false",
    "Unavailable true",
  ]);
});

test("a watch without a bookmark is given up within three minutes", async () => {
  const idle: number[] = [];
  const client = createClient(async function* ({ idleMs, signal }) {
    idle.push(idleMs);
    if (signal) await waitForAbort(signal);
    yield* [];
  });
  const clock = new FakeClock();
  startFollowing(client, clock);
  await clock.advance(1000);
  expect(idle[0]).toBeGreaterThan(120_000);
  expect(idle[0]).toBeLessThan(180_000);
});

test("a list that fails takes no policy for absent where there are more than are kept", async () => {
  const clock = new FakeClock();
  const policy = (n: number) => ({ metadata: { name: `p${n}`, namespace: "shop", uid: `u${n}`, generation: 1 } });
  let fails = false;
  const client = createClient(
    async function* ({ onOpen }) {
      onOpen?.();
      await clock.sleep(1000);
      fails = true;
      yield await Promise.reject(new ApiError("Expired", "too old"));
    },
    () => {
      if (fails) throw new ApiError("Unavailable", "away");
      return { metadata: { resourceVersion: "1" }, items: [policy(1), policy(2), policy(3)] };
    },
  );
  const watch = new PolicyWatch({ client, clock, logger: silentLogger, onChange() {}, maxPerKind: 2 });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  await clock.advance(500);
  expect(watch.knowledge("KubeArmorPolicy")).toBe("unknown");
  await clock.advance(60_000);
  expect(fails).toBe(true);
  expect(watch.knowledge("KubeArmorPolicy")).toBe("unknown");
  stop.abort();
  await running;
});
