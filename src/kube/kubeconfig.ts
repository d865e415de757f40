// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns finding and reading the kubeconfig: --kubeconfig, $KUBECONFIG, the pod's own ServiceAccount, ~/.kube/config.
// Invariant: an error names the file and what to do, and never quotes the file (it holds secrets).

import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { isMap, parseDocument } from "yaml";
import { getErrorMessage } from "../lib/error-message.ts";
import { isObject, toObject, toText } from "../lib/json.ts";
import { withExecInfo } from "./exec-plugin.ts";
import { type ImpersonationHeaders, impersonationHeaders } from "./impersonation.ts";
import { findProxy } from "./proxy.ts";

export interface KubeConfigSource {
  /** The value of --kubeconfig. */
  path?: string | undefined;
  /** In place of the current context of the files; default: theirs. */
  context?: string | undefined;
  /** Environment: KUBECONFIG, KUBERNETES_SERVICE_HOST and _PORT, HOME, HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  env: Readonly<Record<string, string | undefined>>;
  /** Default: where Kubernetes mounts it into every pod. */
  serviceAccountDir?: string;
}

/** A kubeconfig that names a server; that the server answers is not checked. */
export interface LoadedKubeConfig {
  config: KubeConfig;
  /** Scheme, host and port (and path, where there is one), no slash at the end. */
  server: string;
  /** Origin of the configuration, for the log. */
  source: string;
  /** The namespace of the context or of the pod. */
  namespace?: string;
  /** Headers of every request, beyond those of the credentials. */
  headers?: ImpersonationHeaders;
  /** Proxy to the server; undefined for a direct connection. */
  proxy?: string | undefined;
}

/** A kubeconfig that can't be used; the message is for the person who wrote it. */
export class KubeConfigError extends Error {
  override name = "KubeConfigError";
}

type YamlObject = Record<string, unknown>;

/** Entries of a kubeconfig. */
interface Lists {
  clusters: YamlObject[];
  contexts: YamlObject[];
  users: YamlObject[];
}

const PROXY_SCHEMES = ["http:", "https:", "socks5:", "socks5h:"];
const SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Loads the first of --kubeconfig, $KUBECONFIG, in-cluster and ~/.kube/config that is there; throws KubeConfigError. */
export function loadKubeConfig(source: KubeConfigSource): LoadedKubeConfig {
  const loaded = findKubeConfig(source);
  const { config, server, source: name } = loaded;
  const proxy = config.getCurrentCluster()?.proxyUrl || findProxy(server, source.env);
  if (proxy === undefined) return loaded;
  const scheme = URL.canParse(proxy) ? new URL(proxy).protocol : "";
  if (!PROXY_SCHEMES.includes(scheme)) {
    throw new KubeConfigError(
      `${name}: the proxy ${scheme || "address"}${scheme && "//"} is not supported (proxy-url, or HTTPS_PROXY in the ` +
        "environment); use an http, https or socks5 proxy",
    );
  }
  // With both the proxy resolves the server's name.
  return { ...loaded, proxy: proxy.replace(/^socks5h:/i, "socks5:") };
}

function findKubeConfig(source: KubeConfigSource): LoadedKubeConfig {
  const { env, context } = source;
  if (source.path) return loadFiles([source.path], `--kubeconfig ${source.path}`, context);

  const listed = (env["KUBECONFIG"] ?? "").split(delimiter).filter((path) => path !== "");
  if (listed.length > 0) {
    // kubectl passes over files of the list that are not there; none at all is a mistake.
    const present = listed.filter((path) => existsSync(path));
    return loadFiles(
      present.length > 0 ? present : listed.slice(0, 1),
      `$KUBECONFIG ${listed.join(delimiter)}`,
      context,
    );
  }

  const accountDir = source.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  if (context === undefined && env["KUBERNETES_SERVICE_HOST"] && existsSync(join(accountDir, "token"))) {
    return loadServiceAccount(accountDir, env);
  }

  const home = env["HOME"] ?? env["USERPROFILE"];
  const homeFile = home ? join(home, ".kube", "config") : undefined;
  if (homeFile && existsSync(homeFile)) return loadFiles([homeFile], homeFile, context);
  throw new KubeConfigError(
    `no kubeconfig: $KUBECONFIG is not set, this is not a pod with a ServiceAccount token (${accountDir}/token), and ` +
      `${homeFile ?? "~/.kube/config"} does not exist; pass --kubeconfig FILE`,
  );
}

function loadServiceAccount(directory: string, env: Readonly<Record<string, string | undefined>>): LoadedKubeConfig {
  const host = env["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = env["KUBERNETES_SERVICE_PORT"] ?? "443";
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "in-cluster", server, caFile: join(directory, "ca.crt"), skipTLSVerify: false },
    { name: "in-cluster", authProvider: { name: "tokenFile", config: { tokenFile: join(directory, "token") } } },
  );
  const namespaceFile = join(directory, "namespace");
  const namespace = existsSync(namespaceFile) ? readText(namespaceFile).trim() : "";
  return { config, server, source: "in-cluster", ...(namespace === "" ? {} : { namespace }) };
}

/** Merges as kubectl does: of two entries with one name, and of two current contexts, the first file's counts. */
function loadFiles(paths: string[], source: string, context?: string): LoadedKubeConfig {
  const merged: Lists = { clusters: [], contexts: [], users: [] };
  let current = context ?? "";
  for (const path of paths) {
    const file = parseFile(path);
    for (const list of ["clusters", "contexts", "users"] as const) {
      for (const entry of readEntries(file, list, path)) {
        if (!merged[list].some((other) => other["name"] === entry["name"])) merged[list].push(entry);
      }
    }
    current ||= toText(file["current-context"]);
  }
  if (context !== undefined && !merged.contexts.some((one) => one["name"] === context)) {
    const names = merged.contexts.map((one) => toText(one["name"])).join(", ") || "none";
    throw new KubeConfigError(`${source}: there is no context "${context}" (contexts: ${names})`);
  }
  const { cluster, user } = findCurrentEntries(merged, current, source);
  addExecInfo(user, cluster, source);
  const headers = impersonationHeaders(toObject(user["user"]));
  if (typeof headers === "string") throw new KubeConfigError(`${source}: user ${user["name"]}: ${headers}`);

  const config = new KubeConfig();
  try {
    config.loadFromString(JSON.stringify({ ...merged, "current-context": current }));
  } catch (cause) {
    throw new KubeConfigError(`${source}: ${getErrorMessage(cause)}`, { cause });
  }
  return { config, source, headers, ...checkServer(config, source) };
}

/** Completes the exec plugin of a user, if it has one. */
function addExecInfo(user: YamlObject, cluster: YamlObject, source: string): void {
  try {
    user["user"] = withExecInfo(toObject(user["user"]), cluster);
  } catch (cause) {
    const file = toText(cluster["certificate-authority"]);
    throw new KubeConfigError(`${source}: cannot read certificate-authority ${file}: ${explainFailure(cause)}`, {
      cause,
    });
  }
}

function parseFile(path: string): YamlObject {
  const document = parseDocument(readText(path), { prettyErrors: false, logLevel: "silent" });
  const [error] = document.errors;
  if (error) {
    const line = readText(path).slice(0, error.pos[0]).split("\n").length;
    throw new KubeConfigError(`${path}: line ${line} is not YAML (${error.code}); is it a kubeconfig?`);
  }
  // As kubectl: an empty file has nothing in it, which is not a mistake.
  if (document.contents === null) return {};
  if (!isMap(document.contents)) {
    throw new KubeConfigError(`${path}: this is not a kubeconfig (a mapping with clusters, users and contexts)`);
  }
  return document.toJS() as YamlObject;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new KubeConfigError(`cannot read the kubeconfig ${path}: ${explainFailure(cause)}; pass --kubeconfig FILE`, {
      cause,
    });
  }
}

function explainFailure(cause: unknown): string {
  const code = isObject(cause) ? toText(cause["code"]) : "";
  return { ENOENT: "there is no such file", EACCES: "permission denied", EISDIR: "it is a directory" }[code] ?? code;
}

/** The entries of one list, with absolute paths, and corrected where the client library would overlook something. */
function readEntries(file: YamlObject, list: "clusters" | "contexts" | "users", path: string): YamlObject[] {
  const value = file[list] ?? [];
  if (!Array.isArray(value)) throw new KubeConfigError(`${path}: ${list} must be a list`);
  const directory = dirname(path);
  return value.filter(isObject).map((entry) => {
    if (list === "clusters") return { ...entry, cluster: withAbsolutePaths(entry["cluster"], directory) };
    if (list === "users") return { ...entry, user: completeUser(entry["user"], directory) };
    return entry;
  });
}

const PATH_KEYS = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

function withAbsolutePaths(value: unknown, directory: string): YamlObject {
  const result = isObject(value) ? { ...value } : {};
  for (const key of PATH_KEYS) {
    const path = toText(result[key]);
    // The client library prefers the file, kubectl the data in the kubeconfig itself.
    if (result[`${key}-data`]) result[key] = undefined;
    else if (path !== "" && !isAbsolute(path)) result[key] = join(directory, path);
  }
  return result;
}

function completeUser(value: unknown, directory: string): YamlObject {
  const user = withAbsolutePaths(value, directory);
  // The client library knows token files only under another name; kubectl lets the file win over a token.
  if (user["tokenFile"]) {
    user["auth-provider"] = { name: "tokenFile", config: { tokenFile: user["tokenFile"] } };
    user["token"] = undefined;
  }
  const exec = user["exec"];
  if (isObject(exec)) {
    const command = toText(exec["command"]);
    user["exec"] = {
      ...exec,
      command: command.includes("/") && !isAbsolute(command) ? join(directory, command) : command,
    };
  }
  return user;
}

/** Returns the cluster and the entry of the user of the current context. Throws KubeConfigError. */
function findCurrentEntries(merged: Lists, current: string, source: string): { cluster: YamlObject; user: YamlObject } {
  const names = merged.contexts.map((context) => toText(context["name"])).join(", ") || "none";
  if (current === "") {
    throw new KubeConfigError(
      `${source}: no current-context is set (contexts: ${names}); choose one with kubectl config use-context NAME`,
    );
  }
  const entry = merged.contexts.find((context) => context["name"] === current);
  const context = isObject(entry?.["context"]) ? entry["context"] : undefined;
  if (context === undefined) {
    throw new KubeConfigError(
      `${source}: the current-context ${current} is not among the contexts (${names}); choose one with kubectl config use-context NAME`,
    );
  }
  const find = (list: "clusters" | "users", name: string) => {
    const found = merged[list].find((one) => one["name"] === name);
    if (found) return found;
    throw new KubeConfigError(
      `${source}: context ${current} names the ${list.slice(0, -1)} "${name}", which is not defined`,
    );
  };
  const cluster = toObject(find("clusters", toText(context["cluster"]))["cluster"]);
  // Without any user the client library leaves out the CA as well.
  const isAnonymous = toText(context["user"]) === "";
  if (isAnonymous) context["user"] = "anonymous";
  if (isAnonymous && !merged.users.some((one) => one["name"] === "anonymous"))
    merged.users.push({ name: "anonymous", user: {} });
  return { cluster, user: find("users", toText(context["user"])) };
}

function checkServer(config: KubeConfig, source: string): { server: string; namespace?: string } {
  const cluster = config.getCurrentCluster();
  const server = cluster?.server ?? "";
  const scheme = URL.canParse(server) ? new URL(server).protocol : "";
  if (cluster === null || (scheme !== "https:" && scheme !== "http:")) {
    throw new KubeConfigError(`${source}: the cluster's server "${server}" is not an http or https address`);
  }
  // The client library refuses plain http unless TLS verification is off; there is no TLS to verify.
  if (scheme === "http:") Object.assign(cluster, { skipTLSVerify: true });
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return { server, ...(namespace ? { namespace } : {}) };
}
