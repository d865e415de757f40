// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads reports and reads and writes their OpenReports objects in the Kubernetes API.
// Invariant: an object that another program made is never replaced.

import { isDeepStrictEqual } from "node:util";
import {
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  FIELD_MANAGER,
  MANAGED_BY_LABEL,
  PRODUCT,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../../api/names.ts";
import {
  CLUSTER_OPENREPORT_PLURAL,
  OPENREPORT_PLURAL,
  OPENREPORTS_GROUP_VERSION,
  type OpenReport,
} from "../../api/openreports.ts";
import type { Report } from "../../api/v1alpha1.ts";
import { ApiError } from "../../kube/api-error.ts";
import { type ApiRequester, METADATA_FIRST } from "../../kube/client.ts";
import { type ObjectPath, toApiPath } from "../../lib/object-key.ts";
import { parseReport, REPORTS_API } from "../cluster-sink.ts";

/** A kind of report, its plural, and the plural of the OpenReports kind that it is copied to. */
export interface ReportPair {
  kind: Report["kind"];
  reports: string;
  openReports: string;
}

export const REPORT_PAIRS: readonly ReportPair[] = [
  { kind: REPORT_KIND, reports: REPORT_PLURAL, openReports: OPENREPORT_PLURAL },
  { kind: CLUSTER_REPORT_KIND, reports: CLUSTER_REPORT_PLURAL, openReports: CLUSTER_OPENREPORT_PLURAL },
];

export const OPENREPORTS_API = `/apis/${OPENREPORTS_GROUP_VERSION}`;

/** The stored object carries labels of another program, or none. */
export class ForeignObjectError extends Error {
  override name = "ForeignObjectError";
}

export class OpenReportStore {
  readonly #client: ApiRequester;

  constructor(client: ApiRequester) {
    this.#client = client;
  }

  /** Returns undefined when there is no such report, or it has another form. Throws ApiError. */
  async readReport(pair: ReportPair, name: ObjectPath, signal: AbortSignal): Promise<Report | undefined> {
    return parseReport(await this.#read(toApiPath(REPORTS_API, pair.reports, name), signal), pair.kind);
  }

  /**
   * Returns the copy of a report; undefined when there is none. It is known by its label, or by its owner where the label
   * was removed. Throws ApiError and ForeignObjectError.
   */
  async readOpenReport(
    pair: ReportPair,
    name: ObjectPath,
    owner: Report,
    signal: AbortSignal,
  ): Promise<OpenReport | undefined> {
    const path = toApiPath(OPENREPORTS_API, pair.openReports, name);
    const stored = (await this.#read(path, signal)) as OpenReport | undefined;
    if (stored !== undefined && !isOurs(stored, owner)) {
      throw new ForeignObjectError(
        `${path} was made by another program; delete it, or label it ${MANAGED_BY_LABEL}=${PRODUCT}`,
      );
    }
    return stored;
  }

  /** Creates the object, or replaces `stored` and keeps its other labels and annotations. Throws ApiError. */
  async write(
    pair: ReportPair,
    next: OpenReport,
    stored: OpenReport | undefined,
    signal: AbortSignal,
  ): Promise<{ resourceVersion: string | undefined }> {
    const { namespace, name } = next.metadata;
    const answer = await this.#client.request<{ metadata?: { resourceVersion?: string } }>({
      method: stored === undefined ? "POST" : "PUT",
      path: toApiPath(OPENREPORTS_API, pair.openReports, stored === undefined ? { namespace } : { namespace, name }),
      query: { fieldManager: FIELD_MANAGER, fieldValidation: "Strict" },
      accept: METADATA_FIRST,
      body: stored === undefined ? next : keepMetadata(next, stored),
      signal,
    });
    return { resourceVersion: answer?.metadata?.resourceVersion };
  }

  async #read(path: string, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#client.request({ method: "GET", path, signal });
    } catch (error) {
      if (error instanceof ApiError && (error.code === "NotFound" || error.code === "NamespaceGone")) return undefined;
      throw error;
    }
  }
}

function isOurs({ metadata: { labels, ownerReferences } }: OpenReport, { metadata: { uid } }: Report): boolean {
  if (labels?.[MANAGED_BY_LABEL] === PRODUCT) return true;
  return uid !== undefined && ownerReferences?.some((owner) => owner.uid === uid) === true;
}

/** Reports whether a write of `next` would change the stored object. */
export function isUpToDate(next: OpenReport, stored: OpenReport): boolean {
  const content = ({ metadata, results, ...others }: OpenReport) => ({
    ...others,
    labels: metadata.labels,
    annotations: metadata.annotations ?? {},
    ownerReferences: metadata.ownerReferences ?? [],
    results: results ?? [],
  });
  return isDeepStrictEqual(content(keepMetadata(next, stored)), content(stored));
}

function keepMetadata(next: OpenReport, stored: OpenReport): OpenReport {
  const { uid, resourceVersion, labels, annotations } = stored.metadata;
  const metadata = {
    ...next.metadata,
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    labels: { ...labels, ...next.metadata.labels },
    annotations: { ...annotations, ...next.metadata.annotations },
  };
  return { ...next, metadata };
}
