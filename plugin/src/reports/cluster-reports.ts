// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns reading reports from a cluster with a person's own rights, and what to tell them when that fails.
// Invariant: reads only; a list is whole or it is an error.

import {
  API_GROUP,
  API_GROUP_VERSION,
  API_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  MANAGED_BY_LABEL,
  PRODUCT,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { ApiError } from "../../../src/kube/api-error.ts";
import type { ApiRequester } from "../../../src/kube/client.ts";
import { listItems } from "../../../src/kube/list.ts";
import { shellWord } from "../render/escape.ts";
import { type Heartbeat, heartbeatOf, type LeaseObject } from "./heartbeat.ts";
import { EXIT, PluginError } from "./problem.ts";
import type { ReportSource } from "./report-source.ts";

export interface ClusterReportsOptions {
  client: ApiRequester;
  signal: AbortSignal;
  /** Reports per page; default 500, halved while a page is larger than the client accepts. */
  pageSize?: number;
}

const BASE = `/apis/${API_GROUP}/${API_VERSION}`;
const LEASES = "/apis/coordination.k8s.io/v1";
/** Where the operator is installed, unless somebody chose another namespace. */
const USUAL_NAMESPACE = "kubearmor";

const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/** Nobody waits longer than that for a Tab. */
const COMPLETION_TIMEOUT_MS = 2000;

interface Page {
  items?: unknown[];
}

/** Returns the source that reads a cluster's reports. */
export function clusterReports(options: ClusterReportsOptions): ReportSource {
  const { client, signal } = options;

  async function* listKind(plural: string, namespace: string | undefined): AsyncIterable<Report> {
    const path = `${BASE}/${namespace === undefined ? "" : `namespaces/${encodeURIComponent(namespace)}/`}${plural}`;
    // The same names again and again: an answer shrinks to a tenth and less when compressed.
    const request = { path, pageSize: options.pageSize ?? 500, mayCompress: true, signal };
    let isEmpty = true;
    try {
      for await (const item of listItems(client, request)) {
        isEmpty = false;
        yield asReport(item, plural === REPORT_PLURAL ? REPORT_KIND : CLUSTER_REPORT_KIND);
      }
    } catch (error) {
      throw toProblem(error, plural, namespace);
    }
    if (isEmpty && namespace !== undefined) await checkNamespace(namespace);
  }

  /** An empty answer may be a misspelt namespace: nothing else tells. Who may not look, is believed. */
  async function checkNamespace(namespace: string): Promise<void> {
    try {
      await client.request({
        method: "GET",
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}`,
        signal,
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "NotFound") return;
      throw new PluginError(
        EXIT.failed,
        `there is no namespace "${namespace}"; see \`kubectl get namespaces\`, or use -A for all`,
        error,
      );
    }
  }

  return {
    where: "the cluster",
    async namespaces() {
      const page = await client.request<Page>({
        method: "GET",
        path: "/api/v1/namespaces",
        query: { limit: 500 },
        accept: METADATA_LIST,
        timeoutMs: COMPLETION_TIMEOUT_MS,
        signal,
      });
      return (page?.items ?? []).map((item) => (item as Report).metadata.name);
    },
    heartbeat: (nowMs) => heartbeat(options, nowMs),
    async *list({ namespace }) {
      // Asked for at once: one round trip less.
      const ofHosts =
        namespace === undefined ? Array.fromAsync(listKind(CLUSTER_REPORT_PLURAL, undefined)) : undefined;
      // What is wrong with it is told below, unless the other list says it first.
      ofHosts?.catch(() => undefined);
      yield* listKind(REPORT_PLURAL, namespace);
      if (ofHosts) yield* await ofHosts;
    },
    async read(namespace, name) {
      const plural = namespace === undefined ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL;
      const place = namespace === undefined ? "" : `namespaces/${encodeURIComponent(namespace)}/`;
      const path = `${BASE}/${place}${plural}/${encodeURIComponent(name)}`;
      try {
        const item = await client.request({ method: "GET", path, signal });
        return asReport(item, namespace === undefined ? CLUSTER_REPORT_KIND : REPORT_KIND);
      } catch (error) {
        if (error instanceof ApiError && error.code === "NotFound") return undefined;
        throw toProblem(error, plural, namespace);
      }
    },
  };
}

/** Many may look only into some namespaces: the usual one is tried, too. */
async function heartbeat({ client, signal }: ClusterReportsOptions, nowMs: number): Promise<Heartbeat> {
  let why = "";
  for (const place of ["", `/namespaces/${USUAL_NAMESPACE}`]) {
    try {
      const page = await client.request<Page>({
        method: "GET",
        path: `${LEASES}${place}/leases`,
        query: { labelSelector: `${MANAGED_BY_LABEL}=${PRODUCT}`, limit: 100 },
        signal,
      });
      return heartbeatOf((page?.items ?? []) as LeaseObject[], nowMs);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      why = error.code === "Forbidden" ? "you may not list its Lease (coordination.k8s.io)" : error.message;
    }
  }
  return { state: "unknown", why };
}

/** Checks what the commands rely on; the CRD's schema has checked the rest. */
function asReport(item: unknown, kind: Report["kind"]): Report {
  const { metadata, policy, summary, violations, coverage } = (item ?? {}) as Partial<Report>;
  const name = metadata?.name;
  if (name === undefined || !policy || !summary || !coverage || !Array.isArray(violations)) {
    throw new PluginError(
      EXIT.failed,
      `the ${kind} "${name ?? ""}" is not of the expected form; is this plugin older than the operator?`,
    );
  }
  return { ...(item as Report), apiVersion: API_GROUP_VERSION, kind };
}

function toProblem(error: unknown, plural: string, namespace: string | undefined): unknown {
  if (!(error instanceof ApiError)) return error;
  return new PluginError(EXIT.failed, `${explain(error, plural, namespace)}`, error);
}

function explain(error: ApiError, plural: string, namespace: string | undefined): string {
  const place = namespace === undefined ? "in the whole cluster" : `in namespace ${namespace}`;
  const flags = namespace === undefined ? "-A" : `-n ${shellWord(namespace)}`;
  switch (error.code) {
    case "NotServed":
      return (
        `this cluster has no ${plural}.${API_GROUP}: the operator's CRDs are not installed, or the context is another ` +
        `cluster's (\`kubectl config current-context\`); install the chart, or \`kubectl apply -f crds/\``
      );
    case "Forbidden":
      return (
        `you may not list ${plural} ${place}: check with \`kubectl auth can-i list ${plural}.${API_GROUP} ${flags}\`; ` +
        `whoever has the ClusterRole "view" may` +
        (namespace === undefined ? "; with rights in one namespace use -n NAMESPACE" : "")
      );
    case "Unauthorized":
      return `the cluster does not accept your credentials: log in again, or choose another --context (${error.message})`;
    default:
      return error.message;
  }
}
