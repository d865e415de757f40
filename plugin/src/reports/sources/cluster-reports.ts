// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads reports from a cluster with the user's own rights, and explains what the API server refuses.
// Invariant: a list is whole, or it names what it lacks, or it is an error. The only object that is written is an
// AcceptedViolation, on request.

import {
  API_GROUP,
  API_GROUP_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  PRODUCT,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../../../../src/api/names.ts";
import type { Report } from "../../../../src/api/v1alpha1.ts";
import { ApiError } from "../../../../src/kube/api-error.ts";
import { type ApiRequester, JSON_PATCH, type KubeClient } from "../../../../src/kube/client.ts";
import { listItems } from "../../../../src/kube/list.ts";
import { toApiPath } from "../../../../src/lib/object-key.ts";
import { plain, toShellWord } from "../../text/escape.ts";
import { type Heartbeat, type LeaseObject, readHeartbeat } from "../heartbeat.ts";
import { createUsageError, EXIT, PluginError } from "../problem.ts";
import { readStatedGaps } from "../stated-gaps.ts";
import { checkReport, findContradiction } from "./report-schema.ts";
import type { Acceptance, ReportSource } from "./report-source.ts";

export interface ClusterReportsOptions {
  client: ApiRequester & Partial<Pick<KubeClient, "serverNowMs">>;
  signal: AbortSignal;
  /** Reports per page; default 500, halved while a page is larger than the client accepts. */
  pageSize?: number;
  /** Lease of the operator; default `kubearmor/policy-violation-operator`. */
  operatorLease?: { namespace: string; name: string };
}

/** The Lease that the chart's defaults give. */
export const OPERATOR_LEASE = { namespace: "kubearmor", name: PRODUCT };

const ACCEPTANCE_PLURAL = "acceptedviolations";
const REPORTS_API = `/apis/${API_GROUP_VERSION}`;
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const COMPLETION_TIMEOUT_MS = 2000;

interface Page {
  items?: unknown[];
}

/** Returns the source that reads a cluster's reports. */
export function createClusterReports(options: ClusterReportsOptions): ReportSource {
  const { client, signal } = options;

  async function* listKind(
    plural: string,
    namespace: string | undefined,
    onLeftOut: (why: string) => void,
  ): AsyncIterable<Report> {
    const path = toApiPath(REPORTS_API, plural, { namespace });
    // Compression shrinks an answer to a tenth or less.
    const request = { path, pageSize: options.pageSize ?? 500, mayCompress: true, signal };
    let isEmpty = true;
    try {
      for await (const item of listItems(client, request)) {
        isEmpty = false;
        const report = toReport(item, plural === REPORT_PLURAL ? REPORT_KIND : CLUSTER_REPORT_KIND);
        if (typeof report === "string") onLeftOut(report);
        else yield report;
      }
    } catch (error) {
      throw toProblem(error, plural, namespace);
    }
    if (isEmpty && namespace !== undefined) await checkNamespace(namespace);
  }

  /** Returns the code of a refusal; undefined where there is none. */
  async function probe(path: string, query = {}): Promise<string | undefined> {
    try {
      await client.request({ method: "GET", path, query, signal });
      return undefined;
    } catch (error) {
      if (error instanceof ApiError) return error.code;
      throw error;
    }
  }

  /** Distinguishes an empty namespace from a misspelled one, where the user may get namespaces. */
  async function checkNamespace(namespace: string): Promise<void> {
    if ((await probe(toNamespacePath(namespace))) !== "NotFound") return;
    throw new PluginError(
      EXIT.failed,
      `there is no namespace "${namespace}"; see \`kubectl get namespaces\`, or use -A for all.`,
    );
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
    async doubtNamespace(namespace) {
      if ((await probe(toNamespacePath(namespace))) === undefined) return undefined;
      // A right in one namespace is bound in it, so that it exists; one in all says nothing of it.
      if ((await probe(toApiPath(REPORTS_API, REPORT_PLURAL), { limit: 1 })) === "Forbidden") return undefined;
      return (
        `it is unknown if there is a namespace "${namespace}", which has no reports: you may not get it; ` +
        "use an account with the right `get` on namespaces, or with rights in that namespace only"
      );
    },
    heartbeat: (nowMs) => fetchHeartbeat(options, nowMs),
    async statedGaps() {
      // The heartbeat says why the Lease can't be read.
      return readStatedGaps(await fetchLease(options).catch(() => undefined));
    },
    async acceptances({ namespace }) {
      const path = toApiPath(REPORTS_API, ACCEPTANCE_PLURAL, { namespace });
      const found: Acceptance[] = [];
      try {
        for await (const item of listItems(client, { path, pageSize: 500, signal })) found.push(item as Acceptance);
      } catch (error) {
        throw toProblem(error, ACCEPTANCE_PLURAL, namespace);
      }
      return found;
    },
    async apply(acceptance) {
      const { metadata, spec } = acceptance as Acceptance;
      const { namespace, name } = metadata;
      try {
        const path = toApiPath(REPORTS_API, ACCEPTANCE_PLURAL, { namespace });
        await client.request({ method: "POST", path, body: acceptance, signal });
        return "created";
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "AlreadyExists") {
          throw toProblem(error, ACCEPTANCE_PLURAL, namespace, "create");
        }
      }
      try {
        await client.request({
          method: "PATCH",
          path: toApiPath(REPORTS_API, ACCEPTANCE_PLURAL, { namespace, name }),
          // A merge would keep keys of the former match, its owner and its expiry.
          body: [{ op: "replace", path: "/spec", value: spec }],
          contentType: JSON_PATCH,
          signal,
        });
        return "replaced";
      } catch (error) {
        throw toProblem(error, ACCEPTANCE_PLURAL, namespace, "patch");
      }
    },
    async *list({ namespace }, onLeftOut) {
      // Requested at once: one round trip less.
      const ofHosts =
        namespace === undefined ? Array.fromAsync(listKind(CLUSTER_REPORT_PLURAL, undefined, onLeftOut)) : undefined;
      // Awaited below, unless the other list fails first.
      ofHosts?.catch(() => undefined);
      yield* listKind(REPORT_PLURAL, namespace, onLeftOut);
      if (ofHosts) yield* await ofHosts;
    },
    async read(namespace, name) {
      const plural = namespace === undefined ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL;
      try {
        const path = toApiPath(REPORTS_API, plural, { namespace, name });
        const item = await client.request({ method: "GET", path, signal });
        const report = toReport(item, namespace === undefined ? CLUSTER_REPORT_KIND : REPORT_KIND);
        if (typeof report === "string") throw new PluginError(EXIT.failed, report);
        return report;
      } catch (error) {
        if (error instanceof ApiError && error.code === "NotFound") return undefined;
        throw toProblem(error, plural, namespace);
      }
    },
  };
}

function toNamespacePath(namespace: string): string {
  return toApiPath("/api/v1", "namespaces", { name: namespace });
}

/** Reads the one Lease by its name: any account may do that, and a Lease of another namespace proves nothing. */
async function fetchLease({
  client,
  signal,
  operatorLease = OPERATOR_LEASE,
}: ClusterReportsOptions): Promise<LeaseObject | undefined> {
  const path = toApiPath("/apis/coordination.k8s.io/v1", "leases", operatorLease);
  return await client.request<LeaseObject>({ method: "GET", path, signal });
}

async function fetchHeartbeat(options: ClusterReportsOptions, nowMs: number): Promise<Heartbeat> {
  const { client, operatorLease = OPERATOR_LEASE } = options;
  const { namespace, name } = operatorLease;
  try {
    const lease = await fetchLease(options);
    return readHeartbeat(lease, operatorLease, { nowMs, serverMs: client.serverNowMs?.() });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const elsewhere = "name it with --operator-lease NAMESPACE/NAME where it is another one";
    const whys: Partial<Record<string, string>> = {
      Forbidden: `you may not get its Lease ${namespace}/${name} (coordination.k8s.io); ${elsewhere}`,
      NotFound: `there is no Lease ${namespace}/${name}; ${elsewhere}`,
    };
    return { state: "unknown", why: whys[error.code] ?? error.message };
  }
}

/** Returns the report, or what is wrong with it: it was changed by hand, or the CRD is of another version. */
function toReport(item: unknown, kind: Report["kind"]): Report | string {
  const report = checkReport({ ...(item as object), apiVersion: API_GROUP_VERSION, kind });
  const problem = typeof report === "string" ? report : findContradiction(report);
  if (typeof report !== "string" && problem === undefined) return report;
  const { namespace, name } = ((item ?? {}) as Partial<Report>).metadata ?? {};
  const path = plain([namespace, name].filter((part) => part !== undefined).join("/"));
  return (
    `the ${kind} "${path}" is not of the expected form (${problem}): ` +
    "was it changed by hand, or is this plugin older than the operator?"
  );
}

function toProblem(error: unknown, plural: string, namespace: string | undefined, verb = "list"): unknown {
  if (!(error instanceof ApiError)) return error;
  return new PluginError(EXIT.failed, explain(error, plural, namespace, verb), error);
}

function explain(error: ApiError, plural: string, namespace: string | undefined, verb: string): string {
  const place = namespace === undefined ? "in the whole cluster" : `in namespace ${namespace}`;
  const flags = namespace === undefined ? "-A" : `-n ${toShellWord(namespace)}`;
  switch (error.code) {
    case "NotServed":
      return (
        `this cluster has no ${plural}.${API_GROUP}: the operator's CRDs are not installed, or the context is another ` +
        `cluster's (\`kubectl config current-context\`). Install the chart, or run \`kubectl apply -f crds/\`.`
      );
    case "Forbidden":
      return (
        `you may not ${verb} ${plural} ${place}: check with \`kubectl auth can-i ${verb} ${plural}.${API_GROUP} ${flags}\`` +
        (verb === "list" ? '. The ClusterRole "view" has the right' : "") +
        (namespace === undefined ? "; with rights in one namespace use -n NAMESPACE." : ".")
      );
    case "Unauthorized":
      return `the cluster does not accept your credentials: log in again, or choose another --context (${error.message}).`;
    default:
      return error.message;
  }
}

export function parseLease(text: string | undefined): { namespace: string; name: string } {
  if (text === undefined) return OPERATOR_LEASE;
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(text) ?? [];
  if (namespace && name) return { namespace, name };
  throw createUsageError(
    `invalid value "${plain(text)}" for --operator-lease: expected NAMESPACE/NAME, such as ` +
      `${OPERATOR_LEASE.namespace}/${OPERATOR_LEASE.name}.`,
  );
}
