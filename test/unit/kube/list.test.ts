// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pages of a list: their size, and the request for the next one while one is being handled.

import { expect, it } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import type { ApiRequester, KubeRequest } from "../../../src/kube/client.ts";
import { listItems, listPages } from "../../../src/kube/list.ts";

const OBJECT_BYTES = 10_000;

/** Serves `count` objects, and records the objects asked for by each request. */
class Collection implements ApiRequester {
  readonly limits: number[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  async request<T>({ query, onSize }: KubeRequest): Promise<T> {
    const limit = Number(query?.["limit"]);
    this.limits.push(limit);
    const from = Number(query?.["continue"] ?? 0);
    const items = Array.from({ length: Math.min(limit, this.#count - from) }, (_, i) => ({
      metadata: { name: `r-${from + i}` },
    }));
    onSize?.(items.length * OBJECT_BYTES);
    const end = from + items.length;
    return { items, metadata: end < this.#count ? { continue: String(end) } : {} } as T;
  }
}

it("the next page is asked for before the one before is handled", async () => {
  const client = new Collection(6);
  const seen: number[] = [];
  for await (const _ of listPages(client, { path: "/r", pageSize: 2 })) {
    await Promise.resolve();
    seen.push(client.limits.length);
  }
  expect(seen).toEqual([2, 3, 3]);
});

it("pages grow and shrink to the size to aim at", async () => {
  const client = new Collection(1000);
  const request = { path: "/r", pageSize: 500, pageBytes: 2_000_000 };
  const names = new Set<string>();
  for await (const item of listItems(client, request))
    names.add((item as { metadata: { name: string } }).metadata.name);
  expect(names.size).toBe(1000);
  expect(client.limits.slice(0, 3)).toEqual([50, 200, 200]);
  expect(Math.max(...client.limits) * OBJECT_BYTES).toBeLessThanOrEqual(2_000_000);
});

it("a failed page ends the list once it is its turn, also when nothing waits for it yet", async () => {
  const client: ApiRequester = {
    request: async <T>({ query }: KubeRequest) => {
      if (query?.["continue"]) throw new ApiError("Unavailable", "gone");
      return { items: [{ metadata: { name: "r" } }], metadata: { continue: "1" } } as T;
    },
  };
  const seen: unknown[] = [];
  const list = async () => {
    for await (const item of listItems(client, { path: "/r", pageSize: 1 })) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(item);
    }
  };
  await expect(list()).rejects.toMatchObject({ code: "Unavailable" });
  expect(seen).toHaveLength(1);
});
