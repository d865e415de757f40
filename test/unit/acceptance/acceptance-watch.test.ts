// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { beforeEach, describe, expect, test } from "vitest";
import { AcceptanceWatch } from "../../../src/acceptance/acceptance-watch.ts";
import { type ApplyDenials, createDenials } from "../../../src/acceptance/denials.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";

let watch: AcceptanceWatch;
let warnings: object[];

beforeEach(() => {
  warnings = [];
  watch = createWatch();
});

function createWatch(applyDenials?: ApplyDenials): AcceptanceWatch {
  return new AcceptanceWatch({
    client: { request: () => Promise.reject(new Error("no server")), stream: async function* () {} },
    clock: new FakeClock(),
    logger: { ...silentLogger, warn: (fields) => warnings.push(fields) },
    matched: () => {
      throw new Error("nothing is written");
    },
    mayWrite: () => false,
    onChange() {},
    max: 2,
    ...(applyDenials && { applyDenials }),
  });
}

function createAcceptance(name: string, generation = 1): unknown {
  const match = { policy: "p" };
  return {
    metadata: { namespace: "shop", name, uid: name, resourceVersion: "1", generation },
    spec: { match, reason: "a test" },
  };
}

function list(...names: readonly string[]): void {
  watch.onListing();
  for (const name of names) watch.onObject(createAcceptance(name));
  watch.onListed();
}

test("what the configuration denies has no effect", () => {
  list("a");
  expect(watch.find("shop", "p")?.names).toEqual(["a"]);
  watch = createWatch(createDenials({ deniedPolicies: ["p"], deniedNamespaces: [] }));
  list("a");
  expect([watch.size, watch.find("shop", "p")]).toEqual([1, undefined]);
});

describe("acceptances beyond the bounds", () => {
  test("are counted once each, however often they are reported", () => {
    list("a", "b", "c");
    expect([watch.size, watch.leftOut]).toEqual([2, 1]);
    for (const generation of [2, 3]) watch.onObject(createAcceptance("c", generation));
    expect(watch.leftOut).toBe(1);
    // Takes the place of b.
    watch.onObject(createAcceptance("0"));
    expect([watch.size, watch.leftOut]).toEqual([2, 2]);
    expect(warnings).toEqual([{ kept: 2 }]);
  });

  test("stay counted while the list is read again, and when that fails", () => {
    list("a", "b", "c", "d");
    watch.onListing();
    expect(watch.leftOut).toBe(2);
    watch.onObject(createAcceptance("a"));
    expect(watch.leftOut).toBe(2);
    watch.onProblem({ code: "Unavailable", message: "away", isNew: true });
    expect([watch.size, watch.leftOut]).toEqual([2, 2]);
    list("a", "b", "c", "d");
    expect(watch.leftOut).toBe(2);
    expect(warnings).toEqual([{ kept: 2 }, { answer: "away" }]);
  });

  test("that are deleted are counted no more", () => {
    list("a", "b", "c", "d");
    watch.onRemoved(createAcceptance("c"));
    expect(watch.leftOut).toBe(1);
    list("a", "b");
    expect([watch.size, watch.leftOut]).toEqual([2, 0]);
  });
});
