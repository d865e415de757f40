// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns how reports are kept in the Kubernetes API: listed page by page, written whole with a resourceVersion.
// Invariant: never merges, never retries, never patches; every outcome is one of the port's.

import {
  API_GROUP_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  FIELD_MANAGER,
  MANAGED_BY_LABEL,
  PRODUCT,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../api/names.ts";
import { toReportText } from "../api/report-text.ts";
import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import { ApiError, type ApiErrorCode } from "../kube/api-error.ts";
import { type ApiRequester, METADATA_FIRST, METADATA_LIST } from "../kube/client.ts";
import { listItems } from "../kube/list.ts";
import { isObject, toObject, toText } from "../lib/json.ts";
import type { Logger } from "../lib/logger.ts";
import { toApiPath } from "../lib/object-key.ts";
import { addClusterLabel } from "./cluster-label.ts";
import { type ReadResult, type RemoveResult, type ReportSink, SinkError, type WriteResult } from "./report-sink.ts";

export interface ClusterSinkOptions {
  client: ApiRequester;
  logger: Logger;
  /** Value of the cluster label on every report; default: no label. */
  clusterName?: string;
  /** Reports per page of a list at most; default 500. Fewer where they are large. */
  pageSize?: number;
}

/** Parsed in some 10 ms. */
export const PAGE_BYTES = 2 ** 20;
export const REPORTS_API = `/apis/${API_GROUP_VERSION}`;
const WRITE_QUERY = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict" };
const INSTALL_HINT = "install the CRDs: kubectl apply -f crds/";

/** Refusals that only a person can fix. */
const REFUSED: readonly ApiErrorCode[] = ["Forbidden", "Unauthorized", "NotServed", "Invalid"];

type Refused = Extract<WriteResult, { kind: "refused" }>;

/** Returns the sink that keeps reports as custom resources. */
export function createClusterSink(options: ClusterSinkOptions): ReportSink {
  const { client, logger } = options;
  const pageSize = options.pageSize ?? 500;
  const clusterName = options.clusterName ?? "";

  async function* listKind(plural: string, kind: Report["kind"], signal: AbortSignal): AsyncIterable<Report> {
    const request = {
      path: toApiPath(REPORTS_API, plural),
      labelSelector: SELECTOR,
      pageSize,
      pageBytes: PAGE_BYTES,
      signal,
    };
    try {
      for await (const item of listItems(client, request)) {
        const report = parseReport(item, kind);
        if (report !== undefined) yield report;
        else
          logger.warn(
            { kind, name: getName(item), advice: "delete it to have it recreated" },
            "stored report malformed, left alone",
          );
      }
    } catch (error) {
      throw error instanceof ApiError ? listError(error) : error;
    }
  }

  return {
    async *list(signal) {
      yield* listKind(REPORT_PLURAL, REPORT_KIND, signal);
      yield* listKind(CLUSTER_REPORT_PLURAL, CLUSTER_REPORT_KIND, signal);
    },

    async read(ref, signal) {
      try {
        const item = await client.request({ method: "GET", path: toObjectPath(ref), signal });
        const report = parseReport(item, ref.namespace === undefined ? CLUSTER_REPORT_KIND : REPORT_KIND);
        if (report !== undefined) return { kind: "found", report };
        const message = `${toObjectPath(ref)} is malformed; delete it to have it recreated`;
        return { kind: "refused", message };
      } catch (error) {
        return readFailure(error);
      }
    },

    async write(report, signal) {
      const { namespace, name, resourceVersion } = report.metadata;
      const create = resourceVersion === undefined;
      const path = toObjectPath({ namespace, name });
      try {
        const stored = await client.request({
          method: create ? "POST" : "PUT",
          path: create ? toObjectPath({ namespace }) : path,
          query: WRITE_QUERY,
          // Avoids that a report at its limit, 256 KiB, is sent back for three fields.
          accept: METADATA_FIRST,
          text: toReportText(addClusterLabel(report, clusterName)),
          signal,
        });
        const metadata = readMetadata(stored);
        // An answer that is not an object: the server took the write, but what is stored now must be read.
        if (metadata === undefined) return { kind: "unknown", message: `${path}: unreadable answer` };
        return { kind: "written", report: { ...report, metadata } };
      } catch (error) {
        return writeFailure(error, create);
      }
    },

    async findAbsentNamespaces(namespaces, signal) {
      const absent = new Set(namespaces);
      const path = toApiPath("/api/v1", "namespaces");
      const request = { path, accept: METADATA_LIST, pageSize, pageBytes: PAGE_BYTES, signal };
      try {
        for await (const item of listItems(client, request)) absent.delete(getName(item));
      } catch (error) {
        throw error instanceof ApiError ? listError(error) : error;
      }
      return absent;
    },

    isMislabeled: (report) => addClusterLabel(report, clusterName) !== report,

    async remove(ref, version, signal) {
      try {
        await client.request({
          method: "DELETE",
          path: toObjectPath(ref),
          body: { apiVersion: "meta.k8s.io/v1", kind: "DeleteOptions", preconditions: version },
          signal,
        });
        return { kind: "removed" };
      } catch (error) {
        return removeFailure(error);
      }
    },
  };
}

/** Selects the operator's own objects. */
export const SELECTOR = `${MANAGED_BY_LABEL}=${PRODUCT}`;

function toObjectPath({ namespace, name }: { namespace?: string | undefined; name?: string }): string {
  return toApiPath(REPORTS_API, namespace === undefined ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL, { namespace, name });
}

/** Checks the form that later code relies on, and drops managedFields, which are unused and cost memory. */
export function parseReport(item: unknown, kind: Report["kind"]): Report | undefined {
  const metadata = readMetadata(item);
  if (metadata === undefined || !isObject(item)) return undefined;
  const { policy, summary, violations, coverage } = item;
  if (!isObject(policy) || !isObject(summary) || !Array.isArray(violations) || !isObject(coverage)) return undefined;
  return { ...item, apiVersion: API_GROUP_VERSION, kind, metadata } as unknown as Report;
}

function readMetadata(item: unknown): ObjectMeta | undefined {
  if (!isObject(item) || !isObject(item["metadata"]) || typeof item["metadata"]["name"] !== "string") {
    return undefined;
  }
  const { managedFields: _, ...metadata } = item["metadata"];
  return metadata as unknown as ObjectMeta;
}

function readFailure(error: unknown): ReadResult {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "NotFound" || error.code === "NamespaceGone") return { kind: "absent" };
  return toRefusal(error) ?? retry(error);
}

function writeFailure(error: unknown, create: boolean): WriteResult {
  if (!(error instanceof ApiError)) throw error;
  switch (error.code) {
    case "Conflict":
    case "AlreadyExists":
      return { kind: "conflict" };
    case "NotFound":
      return create ? retry(error) : { kind: "gone" };
    case "NamespaceGone":
      return { kind: "namespace_gone" };
    case "TooLarge":
      return { kind: "too_large", message: error.message };
    case "NotAnswered":
      return { kind: "unknown", message: error.message };
    default:
      return toRefusal(error) ?? retry(error);
  }
}

function removeFailure(error: unknown): RemoveResult {
  const result = writeFailure(error, false);
  if (result.kind === "gone" || result.kind === "namespace_gone") return { kind: "absent" };
  // A removal has no size, and its answer is not looked at.
  if (result.kind === "too_large" || result.kind === "written") return { kind: "unknown", message: String(error) };
  return result;
}

function toRefusal({ code, message }: ApiError): Refused | undefined {
  if (!REFUSED.includes(code)) return undefined;
  return { kind: "refused", message: code === "NotServed" ? `${message}; ${INSTALL_HINT}` : message };
}

function retry({ message, retryAfterMs }: ApiError): Extract<ReadResult, { kind: "retry" }> {
  return { kind: "retry", message, retryAfterMs };
}

function listError(error: ApiError): SinkError {
  const { message, retryAfterMs } = error;
  return new SinkError(toRefusal(error)?.message ?? message, { cause: error, retryAfterMs });
}

function getName(item: unknown): string {
  return toText(toObject(toObject(item)["metadata"])["name"]);
}
