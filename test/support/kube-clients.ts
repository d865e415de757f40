// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// This program's own Kubernetes client for a test cluster.

import { afterAll } from "vitest";
import { ApiError } from "../../src/kube/api-error.ts";
import { KubeClient, type KubeClientOptions } from "../../src/kube/client.ts";
import { loadKubeConfig } from "../../src/kube/kubeconfig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";

/** A client with the rights of a kubeconfig; close it. */
export function createKubeClient(kubeconfigPath: string, options: Partial<KubeClientOptions> = {}): KubeClient {
  return new KubeClient({
    kubeConfig: loadKubeConfig({ path: kubeconfigPath, env: {} }),
    version: "test",
    clock: systemClock,
    ...options,
  });
}

/** A client of an administrator from its first use until after the tests of this block. */
export function useKubeClient(cluster: Cluster): KubeClient {
  let client: KubeClient | undefined;
  afterAll(() => client?.close());
  const get = (_: KubeClient, key: string | symbol) => {
    client ??= createKubeClient(cluster.kubeconfigPath);
    const member = Reflect.get(client, key) as unknown;
    return typeof member === "function" ? member.bind(client) : member;
  };
  return new Proxy({} as KubeClient, { get });
}

/** Waits for a call that must fail; returns its error. */
export async function catchApiError(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiError)) throw new Error(`no ApiError but ${String(error)}`);
  return error;
}
