// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns how Events reach the Kubernetes API: events.k8s.io/v1, the uid looked up, a series patched.
// Invariant: one request per call, no memory, no retry; the recorder decides what to do next.

import { API_GROUP_VERSION, EVENT_REPORTER, FIELD_MANAGER } from "../api/names.ts";
import { ApiError } from "../kube/api-error.ts";
import { type ApiRequester, MERGE_PATCH, METADATA_ONLY } from "../kube/client.ts";
import { toApiPath } from "../lib/object-key.ts";
import { formatMicroTime } from "../lib/time.ts";
import type { EventResult, EventSink, NewEvent, Regarding, UidResult } from "./event-recorder.ts";

export interface EventSinkOptions {
  client: ApiRequester;
  /** Name of the reporting pod or host, in ASCII; cut to 128 characters. */
  reportingInstance: string;
  /** Time limit of each call; default 10,000: an Event is not worth more. */
  timeoutMs?: number;
}

/** A static pod's Events are kept under the uid that the kubelet gave it, which this annotation of its mirror holds. */
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";
const MAX_INSTANCE_CHARS = 128;
const EVENTS_API = "/apis/events.k8s.io/v1";
const MAX_INT32 = 2 ** 31 - 1;

/** Returns the sink that creates and patches Events through the API server. */
export function createEventSink(options: EventSinkOptions): EventSink {
  const { client } = options;
  const timeoutMs = options.timeoutMs ?? 10_000;
  const reportingInstance = options.reportingInstance.slice(0, MAX_INSTANCE_CHARS);

  return {
    async findUid(regarding, signal) {
      try {
        const object = await client.request<{ metadata?: { uid?: string; annotations?: Record<string, string> } }>({
          method: "GET",
          path: toRegardingPath(regarding),
          accept: METADATA_ONLY,
          timeoutMs,
          signal,
        });
        const uid = object?.metadata?.annotations?.[MIRROR_ANNOTATION] || object?.metadata?.uid;
        return uid ? { kind: "found", uid } : { kind: "refused", message: `${regarding.name} has no uid` };
      } catch (error) {
        return toUidFailure(error, regarding);
      }
    },

    async create(event, signal) {
      try {
        await client.request({
          method: "POST",
          path: toApiPath(EVENTS_API, "events", { namespace: event.namespace }),
          query: { fieldManager: FIELD_MANAGER },
          body: toEventBody(event, reportingInstance),
          timeoutMs,
          signal,
        });
        return { kind: "sent" };
      } catch (error) {
        // The name is unique to this process, so an Event that exists already is this one, from a try that got no
        // answer.
        if (error instanceof ApiError && error.code === "AlreadyExists") return { kind: "sent" };
        return toFailure(error);
      }
    },

    async patchSeries(ref, series, signal) {
      try {
        await client.request({
          method: "PATCH",
          path: toApiPath(EVENTS_API, "events", ref),
          query: { fieldManager: FIELD_MANAGER },
          contentType: MERGE_PATCH,
          body: { series: toSeriesBody(series) },
          timeoutMs,
          signal,
        });
        return { kind: "sent" };
      } catch (error) {
        if (error instanceof ApiError && error.code === "NotFound") return { kind: "gone" };
        return toFailure(error);
      }
    },
  };
}

function toEventBody(event: NewEvent, reportingInstance: string): object {
  const { related } = event;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: event.name, namespace: event.namespace },
    type: "Warning",
    reason: event.reason,
    action: event.action,
    note: event.note,
    regarding: event.regarding,
    ...(related === undefined ? {} : { related: { apiVersion: API_GROUP_VERSION, ...related } }),
    eventTime: formatMicroTime(event.eventTimeUs),
    ...(event.series === undefined ? {} : { series: toSeriesBody(event.series) }),
    reportingController: EVENT_REPORTER,
    reportingInstance,
  };
}

/** The API holds the count in 32 bits and refuses a series of less than two. */
function toSeriesBody(series: { count: number; lastObservedUs: number }): object {
  return {
    count: Math.min(MAX_INT32, Math.max(2, series.count)),
    lastObservedTime: formatMicroTime(series.lastObservedUs),
  };
}

function toRegardingPath(regarding: Regarding): string {
  const { kind, name } = regarding;
  if (kind === "Node") return toApiPath("/api/v1", "nodes", { name });
  if (kind === "Namespace") return toApiPath("/api/v1", "namespaces", { name });
  return kind === "Deployment"
    ? toApiPath("/apis/apps/v1", "deployments", regarding)
    : toApiPath("/api/v1", "pods", regarding);
}

function toUidFailure(error: unknown, regarding: Regarding): UidResult {
  if (!(error instanceof ApiError)) throw error;
  // `kubectl describe node` looks under the node's name as well, so an operator that may not read nodes can do without.
  const isFoundByName = regarding.kind === "Node" || regarding.kind === "Namespace";
  if (error.code === "Forbidden" && isFoundByName) return { kind: "found", uid: regarding.name };
  if (error.code === "NotFound" || error.code === "NamespaceGone") return { kind: "absent" };
  const result = toFailure(error);
  return result.kind === "retry" || result.kind === "refused" ? result : { kind: "absent" };
}

function toFailure(error: unknown): EventResult {
  if (!(error instanceof ApiError)) throw error;
  const { code, message, retryAfterMs } = error;
  switch (code) {
    case "NamespaceGone":
      return { kind: "namespace_gone" };
    case "Throttled":
    case "Unavailable":
    case "NotAnswered":
    case "Conflict":
      return { kind: "retry", message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    default:
      return { kind: "refused", message };
  }
}
