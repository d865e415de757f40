// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of the plugin, which Headlamp keeps in the browser.

import { ConfigStore } from "@kinvolk/headlamp-plugin/lib";

export interface Settings {
  /** Namespace of the operator's Lease. Default: kubearmor. */
  leaseNamespace?: string;
}

/** Name in package.json, by which Headlamp keeps settings. */
export const PLUGIN = "kubearmor-violations";
export const DEFAULT_LEASE_NAMESPACE = "kubearmor";

/** Reads the namespace in which the operator runs. */
export function readLeaseNamespace(): string {
  return new ConfigStore<Settings>(PLUGIN).get()?.leaseNamespace || DEFAULT_LEASE_NAMESPACE;
}
