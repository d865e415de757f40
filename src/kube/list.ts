// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads all objects of a kind, page by page; the next page is on its way while one is being handled.
// Invariant: every object comes once, and the list is whole or it is an error.

import { type ObjectPath, toObjectKey } from "../lib/object-key.ts";
import { ApiError } from "./api-error.ts";
import type { ApiRequester, KubeRequest } from "./client.ts";

export interface ListRequest extends Pick<KubeRequest, "path" | "accept" | "mayCompress" | "signal"> {
  /** Objects a page at most; halved while a page is larger than the client accepts. */
  readonly pageSize: number;
  /** Size of a page to aim at, so that no page holds the event loop for long; default: pages of `pageSize` objects. */
  readonly pageBytes?: number | undefined;
  /** Label selector, as in `key=value`; default: all objects. */
  readonly labelSelector?: string | undefined;
}

/** A paging token lives for minutes; a list that keeps outliving it is not going to end. */
const MAX_RESTARTS = 3;

/** A part of a list, as the API server sends it. */
export interface Page {
  items?: unknown[];
  metadata?: { continue?: string; resourceVersion?: string };
}

/** Lists all items, from the beginning again when the server has forgotten where it was. Throws an ApiError. */
export async function* listItems(client: ApiRequester, request: ListRequest): AsyncIterable<unknown> {
  const seen = new Set<string>();
  for (let restarts = 0; ; restarts++) {
    try {
      for await (const { items } of listPages(client, request)) {
        for (const item of items ?? []) {
          const key = toKey(item);
          if (key !== undefined && seen.has(key)) continue;
          if (key !== undefined) seen.add(key);
          yield item;
        }
      }
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "Expired" || restarts === MAX_RESTARTS) throw error;
    }
  }
}

/** Gives the pages of a list; one beyond the client's bound is asked for again at half the size. Throws an ApiError. */
export async function* listPages(client: ApiRequester, request: ListRequest): AsyncIterable<Page> {
  const pages = new Pages(client, request);
  let next: Promise<Page> | undefined = pages.read(undefined);
  while (next) {
    const page: Page = await next;
    const token = page.metadata?.continue || undefined;
    next = token === undefined ? undefined : pages.read(token);
    // It is awaited only once this page is handled, or never.
    next?.catch(() => {});
    yield page;
  }
}

/** Objects of the first page where the size of an object is not known. */
const FIRST_OBJECTS = 50;
/** A page has at most this many times as many objects as the one before. */
const MAX_GROWTH = 4;

class Pages {
  readonly #client: ApiRequester;
  readonly #request: ListRequest;
  #limit: number;

  constructor(client: ApiRequester, request: ListRequest) {
    this.#client = client;
    this.#request = request;
    this.#limit = request.pageBytes === undefined ? request.pageSize : Math.min(FIRST_OBJECTS, request.pageSize);
  }

  async read(token: string | undefined): Promise<Page> {
    const { pageSize: _, pageBytes, labelSelector, ...call } = this.#request;
    for (;;) {
      const limit = this.#limit;
      try {
        const page = await this.#client.request<Page>({
          ...call,
          method: "GET",
          query: { labelSelector, limit, continue: token },
          ...(pageBytes === undefined ? {} : { onSize: (bytes) => this.#adapt(bytes, pageBytes) }),
        });
        return page ?? {};
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "TooLarge" || limit === 1) throw error;
        this.#limit = Math.ceil(limit / 2);
      }
    }
  }

  #adapt(bytes: number, pageBytes: number): void {
    const factor = Math.min(MAX_GROWTH, pageBytes / Math.max(1, bytes));
    this.#limit = Math.max(1, Math.min(this.#request.pageSize, Math.floor(this.#limit * factor)));
  }
}

/** Undefined for what is not an object: it may come twice. */
function toKey(item: unknown): string | undefined {
  const { metadata } = (item ?? {}) as { metadata?: Partial<ObjectPath> };
  const { namespace, name } = metadata ?? {};
  return name === undefined ? undefined : toObjectKey({ namespace, name });
}
