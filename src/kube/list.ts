// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads all objects of a kind, page by page.
// Invariant: every object comes once, and the list is whole or it is an error.

import { ApiError } from "./api-error.ts";
import type { ApiRequester, KubeRequest } from "./client.ts";

/** Options of a list. */
export interface ListRequest extends Pick<KubeRequest, "path" | "accept" | "mayCompress" | "signal"> {
  /** Objects a page; halved while a page is larger than the client accepts. */
  readonly pageSize: number;
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
          const key = keyOf(item);
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
  const { pageSize, labelSelector, ...call } = request;
  let limit = pageSize;
  let token: string | undefined;
  do {
    let page: Page | undefined;
    try {
      page = await client.request<Page>({
        ...call,
        method: "GET",
        query: { labelSelector, limit, continue: token },
      });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "TooLarge" || limit === 1) throw error;
      limit = Math.ceil(limit / 2);
      continue;
    }
    yield page ?? {};
    token = page?.metadata?.continue || undefined;
    if (token === undefined) return;
  } while (true);
}

/** Undefined for what is no object: it may come twice. */
function keyOf(item: unknown): string | undefined {
  const { metadata } = (item ?? {}) as { metadata?: { namespace?: string; name?: string } };
  return metadata?.name === undefined ? undefined : `${metadata.namespace ?? ""}/${metadata.name}`;
}
