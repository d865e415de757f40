// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { GoneNamespaces } from "../../../../src/reconcile/namespaces/gone-namespaces.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const HOUR_MS = 3_600_000;

it("a namespace that stays away is tried ever more rarely, at least every 10 minutes", async () => {
  const clock = new FakeClock();
  const gone = new GoneNamespaces(clock);
  const tries: number[] = [];
  for (let second = 0; second < HOUR_MS / 1000; second++) {
    if (!gone.has("shop")) tries.push(second);
    // Several reports of the namespace find it gone in one try.
    for (let report = 0; report < 3; report++) if (gone.add("shop")) expect(second).toBe(0);
    await clock.advance(1000);
  }
  expect(tries).toEqual([0, 5, 15, 35, 75, 155, 315, 635, 1235, 1835, 2435, 3035]);
});

it("a namespace that is found is tried at once, and soon again where it goes once more", async () => {
  const clock = new FakeClock();
  const gone = new GoneNamespaces(clock);
  for (let i = 0; i < 5; i++) {
    gone.add("shop");
    await clock.advance(HOUR_MS);
  }
  expect([gone.delete("shop"), gone.has("shop"), gone.delete("shop")]).toEqual([true, false, false]);
  expect(gone.add("shop")).toBe(true);
  await clock.advance(5000);
  expect(gone.has("shop")).toBe(false);
});

it("a namespace is tried when its time has come, also after the wall clock was set back", async () => {
  const clock = new FakeClock();
  const gone = new GoneNamespaces(clock);
  gone.add("shop");
  clock.stepWall(-HOUR_MS);
  await clock.advance(5000);
  expect(gone.has("shop")).toBe(false);
});
