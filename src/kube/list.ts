// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads all objects of a kind, page by page.
// Invariant: every object comes once, and the list is whole or it is an error.

import { ApiError } from "./api-error.ts";
import type { ApiRequester, KubeRequest } from "./client.ts";

/** What to list. */
export interface ListRequest extends Pick<KubeRequest, "path" | "mayCompress" | "signal"> {
  /** Objects a page; halved while a page is larger than the client accepts. */
  readonly pageSize: number;
  readonly labelSelector?: string;
}

/** A paging token lives for minutes; a list that keeps outliving it is not going to end. */
const MAX_RESTARTS = 3;

interface Page {
  items?: unknown[];
  metadata?: { continue?: string };
}

/** Lists all items, from the beginning again when the server has forgotten where it was. Throws an ApiError. */
export async function* listItems(client: ApiRequester, request: ListRequest): AsyncIterable<unknown> {
  const seen = new Set<string>();
  for (let restarts = 0; ; restarts++) {
    try {
      for await (const item of pages(client, request)) {
        const key = keyOf(item);
        if (key !== undefined && seen.has(key)) continue;
        if (key !== undefined) seen.add(key);
        yield item;
      }
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "Expired" || restarts === MAX_RESTARTS) throw error;
    }
  }
}

/** A page beyond the client's bound is asked for again at half the size. */
async function* pages(client: ApiRequester, request: ListRequest): AsyncIterable<unknown> {
  const { path, labelSelector, mayCompress, signal, pageSize } = request;
  let limit = pageSize;
  let token: string | undefined;
  do {
    let page: Page | undefined;
    try {
      page = await client.request<Page>({
        method: "GET",
        path,
        query: { labelSelector, limit, continue: token },
        ...(mayCompress ? { mayCompress } : {}),
        signal,
      });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "TooLarge" || limit === 1) throw error;
      limit = Math.ceil(limit / 2);
      continue;
    }
    yield* page?.items ?? [];
    token = page?.metadata?.continue || undefined;
    if (token === undefined) return;
  } while (true);
}

/** Undefined for what is no object: it may come twice. */
function keyOf(item: unknown): string | undefined {
  const { metadata } = (item ?? {}) as { metadata?: { namespace?: string; name?: string } };
  return metadata?.name === undefined ? undefined : `${metadata.namespace ?? ""}/${metadata.name}`;
}
