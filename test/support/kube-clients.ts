// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// This program's own Kubernetes client for a test cluster.

import { ApiError } from "../../src/kube/api-error.ts";
import { KubeClient, type KubeClientOptions } from "../../src/kube/client.ts";
import { loadKubeConfig } from "../../src/kube/kubeconfig.ts";
import { systemClock } from "../../src/lib/clock.ts";

/** A client with the rights of a kubeconfig; close it. */
export function createKubeClient(kubeconfigPath: string, options: Partial<KubeClientOptions> = {}): KubeClient {
  return new KubeClient({
    kubeConfig: loadKubeConfig({ path: kubeconfigPath, env: {} }),
    version: "test",
    clock: systemClock,
    ...options,
  });
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
