// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Commands of a test to its cluster by kubectl and helm: the real programs, so that what they print is what a user sees.
// Invariant: nothing of a person's own kubeconfig, caches or plugins is read or written.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PartName } from "../parts/catalog.ts";
import type { ApiAccess } from "./cluster-access.ts";
import { run } from "./process.ts";

export interface CommandOptions {
  /** Given on standard input; default: an empty one. */
  readonly input?: string;
  /** The exit codes that are not errors; default: 0 alone. */
  readonly ok?: readonly number[];
}

export interface ClusterCommands {
  /** Runs kubectl with all rights; gives its standard output, and rejects with its standard error. */
  readonly kubectl: (args: readonly string[], options?: CommandOptions) => Promise<string>;
  /** Runs helm likewise. */
  readonly helm: (args: readonly string[], options?: CommandOptions) => Promise<string>;
  /** Applies a manifest: YAML or JSON text, or the path of a file or folder. */
  readonly apply: (manifest: string) => Promise<void>;
  /** Applies the CRDs of `crds/` and waits until every kind is served. */
  readonly applyCrds: () => Promise<void>;
  /** A token of a ServiceAccount, which is made where it is not there yet, as is its namespace. */
  readonly createServiceAccountToken: (namespace: string, name: string) => Promise<string>;
}

const CRDS_DIR = join(import.meta.dirname, "../../crds");
const SERVED_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** Gives the commands of one cluster; `dir` holds what the programs write for themselves. */
export function createClusterCommands(
  dir: string,
  parts: Partial<Record<PartName, string>>,
  kubeconfigPath: string,
  request: ApiAccess["request"],
): ClusterCommands {
  const env = {
    HOME: dir,
    KUBECONFIG: kubeconfigPath,
    KUBECACHEDIR: join(dir, "cache/kube"),
    HELM_CACHE_HOME: join(dir, "cache/helm"),
    HELM_CONFIG_HOME: join(dir, "helm"),
    HELM_DATA_HOME: join(dir, "helm"),
  };
  const command = async (name: PartName, args: readonly string[], options: CommandOptions = {}) => {
    const file = parts[name];
    if (file === undefined) throw new Error(`there is no ${name}: run \`npm run parts\``);
    const { input = "", ok = [0] } = options;
    const { code, stdout, stderr } = await run(file, args, { env, input });
    if (ok.includes(code)) return stdout;
    throw new Error(`${name} ${args.join(" ")} ended with ${code}: ${stderr.trim()}\n${stdout.trim()}`.trim());
  };
  const kubectl: ClusterCommands["kubectl"] = async (args, options) => {
    for (const endMs = performance.now() + SERVED_TIMEOUT_MS; ; await sleep(POLL_MS)) {
      try {
        return await command("kubectl", args, options);
      } catch (error) {
        if (!isWithoutConditions(args, error) || performance.now() > endMs) throw error;
      }
    }
  };
  return {
    kubectl,
    helm: (args, options) => command("helm", args, options),
    apply: async (manifest) => {
      const isPath = !manifest.includes("\n") && existsSync(manifest);
      await kubectl(["apply", "-f", isPath ? manifest : "-"], isPath ? {} : { input: manifest });
    },
    applyCrds: () => applyCrds(kubectl, request),
    createServiceAccountToken: async (namespace, name) => {
      // Made by `apply`, which does not mind what is there already.
      const manifests = [
        { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
        { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
      ];
      for (const manifest of manifests) {
        await kubectl(["apply", "--server-side", "-f", "-"], { input: JSON.stringify(manifest) });
      }
      return (await kubectl(["create", "token", name, "-n", namespace, "--duration=24h"])).trim();
    },
  };
}

/** `kubectl wait` ends with an error, and does not wait, where the conditions are null, as in a CRD that was just created. */
function isWithoutConditions([verb]: readonly string[], error: unknown): boolean {
  return verb === "wait" && String(error).includes(".status.conditions accessor error");
}

async function applyCrds(kubectl: ClusterCommands["kubectl"], request: ApiAccess["request"]): Promise<void> {
  await kubectl(["apply", "--server-side", "-f", CRDS_DIR]);
  await kubectl(["wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS_DIR]);
  const { items } = JSON.parse(await kubectl(["get", "crd", "-o", "json"])) as { items: Crd[] };
  for (const { spec } of items) {
    for (const { name } of spec.versions.filter(({ served }) => served)) {
      await waitUntilServed(`/apis/${spec.group}/${name}/${spec.names.plural}`, request);
    }
  }
}

interface Crd {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] };
}

/**
 * An established CRD answers 404 until it is routed, then 429 ("storage is (re)initializing") until its watch cache
 * is filled: only a read from that cache (`resourceVersion=0`) shows that both are over.
 */
async function waitUntilServed(path: string, request: ApiAccess["request"]): Promise<void> {
  const deadlineMs = Date.now() + SERVED_TIMEOUT_MS;
  for (;;) {
    const { status, body } = await request("GET", `${path}?resourceVersion=0&limit=1`);
    if (status === 200) return;
    if (Date.now() > deadlineMs) throw new Error(`${path} is not served: ${status} ${JSON.stringify(body)}`);
    await sleep(POLL_MS);
  }
}
