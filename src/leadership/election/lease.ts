// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads and writes a Lease: its wire format, the version an update is based on, advice about a refusal.
// Invariant: an update names the version and the uid that it replaces; labels and annotations of others stay.

import {
  FIELD_MANAGER,
  MANAGED_BY_LABEL,
  MISSING_SINCE_ANNOTATION,
  PRODUCT,
  STANDBY_ANNOTATION,
  STREAM_GAPS_ANNOTATION,
  UNWRITTEN_SINCE_ANNOTATION,
} from "../../api/names.ts";
import { ApiError, type ApiErrorCode } from "../../kube/api-error.ts";
import type { ApiRequester, KubeRequest } from "../../kube/client.ts";
import { toObject, toText } from "../../lib/json.ts";
import { toApiPath } from "../../lib/object-key.ts";

/** The fields of a Lease that leader election uses. */
export interface LeaseRecord {
  /** Empty without a holder. */
  holder: string;
  /** Time that other replicas wait after the last change; 0 when absent from the Lease. */
  durationSeconds: number;
  /** RFC 3339 with microseconds, by the holder's clock. */
  acquireTime: string;
  /** As `acquireTime`; differs in every renewal. */
  renewTime: string;
  /** Changes of the holder. */
  transitions: number;
  /** Time before which all counts of the holder are persisted; empty where the Lease doesn't say. */
  unwrittenSince: string;
  /** Time since which the holder may miss alerts; empty while it reads all of KubeArmor. */
  missingSince: string;
  /** Gaps of the holder's stream that reports may lack, as formatStreamGaps writes them; empty without one. */
  streamGaps: string;
  /** Identity of a standby that could take over without a gap; empty without one. */
  standby: string;
}

/** A Lease as stored by the API server; an update is based on it. */
export interface StoredLease {
  metadata: Readonly<Record<string, unknown>>;
  record: LeaseRecord;
}

export type LeaseCall = Required<Pick<KubeRequest, "timeoutMs" | "signal">>;

export function toLeasePath(place: { namespace: string; name?: string }): string {
  return toApiPath("/apis/coordination.k8s.io/v1", "leases", place);
}

/** One named Lease. Every method sends one request and throws nothing but ApiError. */
export class LeaseStore {
  readonly #client: ApiRequester;
  readonly #namespace: string;
  readonly #name: string;
  readonly #path: string;

  constructor(client: ApiRequester, namespace: string, name: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#name = name;
    this.#path = toLeasePath({ namespace, name });
  }

  /** Returns the Lease, or undefined when it (or its namespace) does not exist. */
  async read(call: LeaseCall): Promise<StoredLease | undefined> {
    try {
      return parseLease(await this.#client.request({ method: "GET", path: this.#path, ...call }));
    } catch (error) {
      if (error instanceof ApiError && error.code === "NotFound") return undefined;
      throw error;
    }
  }

  /** Creates the Lease; AlreadyExists when another replica was faster. */
  async create(record: LeaseRecord, call: LeaseCall): Promise<StoredLease> {
    const labels = { [MANAGED_BY_LABEL]: PRODUCT };
    const [namespace, name] = [this.#namespace, this.#name];
    return await this.#write("POST", toLeasePath({ namespace }), { name, namespace, labels }, record, call);
  }

  /** Replaces `base`; Conflict when another version is stored, or the Lease was deleted. */
  async update(base: StoredLease, record: LeaseRecord, call: LeaseCall): Promise<StoredLease> {
    return await this.#write("PUT", this.#path, base.metadata, record, call);
  }

  /** Advises on an error; undefined where its own message is enough. */
  advice(code: ApiErrorCode): string | undefined {
    const place = `namespace ${this.#namespace}`;
    switch (code) {
      case "Forbidden":
        return (
          `a Role in ${place} must allow this ServiceAccount to create leases and to get and update the lease ` +
          `${this.#name} (API group coordination.k8s.io), as the chart's Role does; or run with --no-leader-elect`
        );
      case "NamespaceGone":
        return (
          `${place} does not exist or is being deleted: create it, or set leaderElection.leaseNamespace, ` +
          "or run with --no-leader-elect"
        );
      case "NotServed":
        return "the API server does not serve Leases (coordination.k8s.io/v1): run with --no-leader-elect and one replica";
      default:
        return undefined;
    }
  }

  async #write(
    method: "POST" | "PUT",
    path: string,
    metadata: StoredLease["metadata"],
    record: LeaseRecord,
    call: LeaseCall,
  ): Promise<StoredLease> {
    const spec = {
      holderIdentity: record.holder,
      leaseDurationSeconds: record.durationSeconds,
      acquireTime: record.acquireTime,
      renewTime: record.renewTime,
      leaseTransitions: record.transitions,
    };
    const { annotations: before, ...others } = metadata;
    const {
      [STANDBY_ANNOTATION]: _,
      [MISSING_SINCE_ANNOTATION]: __,
      [STREAM_GAPS_ANNOTATION]: ___,
      ...kept
    } = toObject(before);
    const annotations = { ...kept, ...toAnnotations(record) };
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: Object.keys(annotations).length === 0 ? others : { ...others, annotations },
      spec,
    };
    const query = { fieldManager: FIELD_MANAGER };
    return parseLease(await this.#client.request({ method, path, query, body, ...call }));
  }
}

function toAnnotations({ unwrittenSince, missingSince, streamGaps, standby }: LeaseRecord): Record<string, string> {
  return {
    ...(unwrittenSince === "" ? {} : { [UNWRITTEN_SINCE_ANNOTATION]: unwrittenSince }),
    ...(missingSince === "" ? {} : { [MISSING_SINCE_ANNOTATION]: missingSince }),
    ...(streamGaps === "" ? {} : { [STREAM_GAPS_ANNOTATION]: streamGaps }),
    ...(standby === "" ? {} : { [STANDBY_ANNOTATION]: standby }),
  };
}

/** Compares the holder's fields; any difference is a sign of life. A standby writes only its own name. */
export function isSameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holder === b.holder &&
    a.renewTime === b.renewTime &&
    a.acquireTime === b.acquireTime &&
    a.durationSeconds === b.durationSeconds &&
    a.transitions === b.transitions
  );
}

/** The version is required: without it two writers could both believe that they have won. */
export function parseLease(answer: unknown): StoredLease {
  const lease = toObject(answer);
  const metadata = toObject(lease["metadata"]);
  if (typeof metadata["resourceVersion"] !== "string" || metadata["resourceVersion"] === "") {
    throw new ApiError("NotAnswered", "the answer is not a Lease: is this address a Kubernetes API server?");
  }
  const spec = toObject(lease["spec"]);
  const annotations = toObject(metadata["annotations"]);
  const record: LeaseRecord = {
    holder: toText(spec["holderIdentity"]),
    durationSeconds: count(spec["leaseDurationSeconds"]),
    acquireTime: toText(spec["acquireTime"]),
    renewTime: toText(spec["renewTime"]),
    transitions: count(spec["leaseTransitions"]),
    unwrittenSince: toText(annotations[UNWRITTEN_SINCE_ANNOTATION]),
    missingSince: toText(annotations[MISSING_SINCE_ANNOTATION]),
    streamGaps: toText(annotations[STREAM_GAPS_ANNOTATION]),
    standby: toText(annotations[STANDBY_ANNOTATION]),
  };
  return { metadata, record };
}

function count(value: unknown): number {
  return typeof value === "number" && value > 0 ? value : 0;
}
