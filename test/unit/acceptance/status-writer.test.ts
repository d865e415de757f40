// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AcceptanceIndex } from "../../../src/acceptance/acceptance-index.ts";
import { readAcceptance } from "../../../src/acceptance/parse-acceptance.ts";
import { StatusWriter, type StatusWriterOptions } from "../../../src/acceptance/status-writer.ts";
import { ApiError } from "../../../src/kube/api-error.ts";
import type { KubeRequest } from "../../../src/kube/client.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";

let clock: FakeClock;
let index: AcceptanceIndex;
/** `namespace/name` of each write. */
let writes: string[];
let occurrences: number;
let fails: boolean;
const stop: { end: () => Promise<void> }[] = [];

beforeEach(() => {
  clock = new FakeClock();
  index = new AcceptanceIndex(() => clock.nowMs() * 1000);
  writes = [];
  occurrences = 1;
  fails = false;
});

afterEach(async () => {
  for (const { end } of stop.splice(0)) await end();
});

function add(namespace: string, name: string): void {
  const metadata = { namespace, name, uid: name, resourceVersion: "1", generation: 1 };
  const read = readAcceptance({ metadata, spec: { match: { policy: "p" }, reason: "a test" } });
  if (read) index.put(read);
}

async function request<T>({ path, body }: KubeRequest): Promise<T> {
  const [, namespace = "", name = ""] = /namespaces\/(.*)\/acceptedviolations\/(.*)\/status$/.exec(path) ?? [];
  writes.push(`${namespace}/${name}`);
  if (fails) throw new ApiError("Forbidden", "no");
  const metadata = { namespace, name, uid: name, resourceVersion: "2", generation: 1 };
  return { ...(body as object), metadata, spec: { match: { policy: "p" }, reason: "a test" } } as T;
}

function start(options: Partial<StatusWriterOptions> = {}): StatusWriter {
  const matched: StatusWriterOptions["matched"] = function* (namespace, policy) {
    yield;
    return new Map(
      (index.effective(namespace, policy)?.names ?? []).map((name) => [name, { violations: 1, occurrences }]),
    );
  };
  const parts = { client: { request }, clock, logger: silentLogger, matched, mayWrite: () => true, ...options };
  const writer = new StatusWriter(parts, index);
  const end = new AbortController();
  const running = writer.run(end.signal);
  stop.push({
    end: async () => {
      end.abort();
      await clock.advance(0);
      await running;
    },
  });
  return writer;
}

describe("statuses", () => {
  test("are written a few a second, namespaces in turn", async () => {
    for (let n = 0; n < 9; n++) add("a", `a${n}`);
    add("b", "b0");
    start().noteAll();
    await clock.advance(100);
    expect(writes).toHaveLength(5);
    expect(writes.slice(0, 2)).toEqual(["a/a0", "b/b0"]);
    await clock.advance(1100);
    expect(writes).toHaveLength(10);
    expect(new Set(writes).size).toBe(10);
  });

  test("of no namespace wait for more than one of each other, also beyond the rate", async () => {
    const namespaces = Array.from({ length: 10 }, (_, n) => `n${n}`);
    for (const namespace of namespaces) for (let n = 0; n < 20; n++) add(namespace, `a${n}`);
    start().noteAll();
    await clock.advance(10_000);
    const rounds = Array.from({ length: 5 }, (_, round) => writes.slice(10 * round, 10 * round + 10));
    for (const round of rounds) expect(round.map((each) => each.split("/")[0]).sort()).toEqual(namespaces);
  });

  test("that differ in numbers only are written every half minute, the newest numbers", async () => {
    add("a", "x");
    const writer = start();
    writer.noteAll();
    await clock.advance(100);
    expect(writes).toHaveLength(1);
    for (let second = 0; second < 29; second++) {
      occurrences++;
      writer.noteReport("a", "p");
      await clock.advance(1000);
    }
    expect(writes).toHaveLength(1);
    await clock.advance(10_000);
    expect(writes).toHaveLength(2);
    expect(index.get({ namespace: "a", name: "x" })?.status.matched?.occurrences).toBe(occurrences);
  });

  test("that are refused are tried again after half a minute, one at a time", async () => {
    for (const name of ["x", "y"]) add("a", name);
    fails = true;
    const writer = start();
    writer.noteAll();
    await clock.advance(29_000);
    expect(writer.results).toEqual({ written: 0, conflict: 0, failed: 1 });
    await clock.advance(2000);
    expect(writer.results.failed).toBe(2);
    fails = false;
    await clock.advance(32_000);
    expect(writer.results).toEqual({ written: 2, conflict: 0, failed: 2 });
  });

  test("wait for the lead, and for the report", async () => {
    add("a", "x");
    let leads = false;
    let owns = false;
    const writer = start({ mayWrite: () => leads, ownsReport: () => owns });
    writer.noteAll();
    await clock.advance(5000);
    leads = true;
    await clock.advance(5000);
    expect(writes).toEqual([]);
    owns = true;
    writer.noteAll();
    await clock.advance(1000);
    expect(writes).toEqual(["a/x"]);
  });
});
