// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// This program's own Kubernetes client for a test cluster, and how a test waits for what a cluster does by itself.

import { setTimeout as sleep } from "node:timers/promises";
import { KubeClient, type KubeClientOptions } from "../../src/kube/client.ts";
import { loadKubeConfig } from "../../src/kube/kubeconfig.ts";
import { systemClock } from "../../src/lib/clock.ts";

/** A client with the rights of a kubeconfig; close it. */
export function kubeClient(kubeconfigPath: string, options: Partial<KubeClientOptions> = {}): KubeClient {
  return new KubeClient({
    kubeConfig: loadKubeConfig({ path: kubeconfigPath, env: {} }),
    version: "test",
    clock: systemClock,
    ...options,
  });
}

/** Asks again and again until `check` gives something else than undefined; rejects after a minute. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  for (const endMs = Date.now() + 60_000; Date.now() < endMs; await sleep(50)) {
    const result = await check();
    if (result !== undefined) return result;
  }
  throw new Error(`waited for a minute: ${what}`);
}
