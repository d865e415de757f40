// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Identity of the ServiceAccount in a kubeconfig's token, read without the API server. Its signature is not checked.

import { readFileSync } from "node:fs";
import type { KubeConfig } from "@kubernetes/client-node";
import { toObject, toText } from "../lib/json.ts";

/**
 * Returns the UID of the current user's ServiceAccount, which no account of another cluster has; undefined for other
 * credentials.
 */
export function readServiceAccountUid(config: KubeConfig): string | undefined {
  const user = config.getCurrentUser();
  const file = toText(toObject(toObject(user?.authProvider)["config"])["tokenFile"]);
  try {
    const token = user?.token ?? readFileSync(file, "utf8");
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const uid = toText(toObject(toObject(toObject(claims)["kubernetes.io"])["serviceaccount"])["uid"]);
    return uid === "" ? undefined : uid;
  } catch {
    // A token of another kind, or none: requests say so, if they need one.
    return undefined;
  }
}
