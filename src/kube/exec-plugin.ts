// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Environment of an exec plugin, which the client library leaves out (client-go: pkg/apis/clientauthentication).

import { readFileSync } from "node:fs";
import { isObject, toText } from "../lib/json.ts";

type YamlObject = Readonly<Record<string, unknown>>;

/** Name of the extension of a cluster that its plugins are given as `config`. */
const CONFIG_EXTENSION = "client.authentication.k8s.io/exec";

/**
 * Returns the user with KUBERNETES_EXEC_INFO for its exec plugin, which holds the cluster where the plugin asks for it
 * (`provideClusterInfo`). Throws what reading the cluster's certificate authority throws.
 */
export function withExecInfo(user: YamlObject, cluster: YamlObject): YamlObject {
  const { exec } = user;
  if (!isObject(exec)) return user;
  const { apiVersion, provideClusterInfo } = exec;
  const spec = { ...(provideClusterInfo === true ? { cluster: describeCluster(cluster) } : {}), interactive: false };
  const value = JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
  const env = Array.isArray(exec["env"]) ? exec["env"] : [];
  return { ...user, exec: { ...exec, env: [...env, { name: "KUBERNETES_EXEC_INFO", value }] } };
}

/** A cluster of a kubeconfig as an ExecCredential has it: with the bytes of the authority in place of its file. */
function describeCluster(cluster: YamlObject): YamlObject {
  const file = toText(cluster["certificate-authority"]);
  const data = cluster["certificate-authority-data"] || (file === "" ? undefined : readFileSync(file, "base64"));
  const extensions = Array.isArray(cluster["extensions"]) ? cluster["extensions"].filter(isObject) : [];
  return {
    server: cluster["server"],
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
    "certificate-authority-data": data,
    "proxy-url": cluster["proxy-url"],
    "disable-compression": cluster["disable-compression"],
    config: extensions.find(({ name }) => name === CONFIG_EXTENSION)?.["extension"],
  };
}
