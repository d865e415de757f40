// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An AcceptedViolation as somebody wrote it, read strictly.
// Invariant: what is not understood to the last key has no effect, and says why: an acceptance with a key that was
// passed over would accept more than its author meant.

import type { AcceptanceMatch, AcceptanceStatus } from "../api/acceptance.ts";
import { isObject, toObject } from "../lib/json.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";
import { type Acceptance, compileAcceptance } from "../report/acceptance.ts";

/** Facts about one AcceptedViolation. */
export interface ReadAcceptance {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  status: AcceptanceStatus;
  /** The policy that it names, whether it has effect or not. */
  policy: string | undefined;
  /** What it accepts, or a sentence on why it can't accept anything. */
  effect: { acceptance: Acceptance; expiresUs: EpochUs | undefined } | { problem: string };
}

const SPEC_KEYS = ["match", "reason", "owner", "expires"];
const MATCH_KEYS = [
  "policy",
  "workload",
  "container",
  "operation",
  "verb",
  "port",
  "protocol",
  "resource",
  "source",
  "outcome",
];
const NETWORK_OPERATIONS: readonly unknown[] = [undefined, "Network", "NetworkFirewall"];
const WORKLOAD_KEYS = ["kind", "name"];

/** Reads an object of the API; undefined where it is not even an object with a name. */
export function readAcceptance(item: unknown): ReadAcceptance | undefined {
  const metadata = toObject(toObject(item)["metadata"]);
  const { namespace, name, uid, resourceVersion, generation } = metadata;
  if (typeof namespace !== "string" || typeof name !== "string" || typeof uid !== "string") return undefined;
  const spec = toObject(toObject(item)["spec"]);
  const policy = toObject(spec["match"])["policy"];
  return {
    namespace,
    name,
    uid,
    resourceVersion: typeof resourceVersion === "string" ? resourceVersion : "",
    generation: typeof generation === "number" ? generation : 0,
    status: toObject(toObject(item)["status"]) as AcceptanceStatus,
    policy: typeof policy === "string" ? policy : undefined,
    effect: effectOf(name, spec),
  };
}

function effectOf(name: string, spec: Record<string, unknown>): ReadAcceptance["effect"] {
  const match = toObject(spec["match"]);
  const problem = problemOf(spec, match);
  if (problem !== undefined) return { problem };
  const { expires } = spec;
  const expiresUs = typeof expires === "string" ? parseMicroTime(expires) : undefined;
  if (expires !== undefined && expiresUs === undefined) {
    return { problem: "spec.expires: no time such as 2027-01-31T00:00:00Z" };
  }
  const acceptance = compileAcceptance(name, match as unknown as AcceptanceMatch);
  return "problem" in acceptance ? acceptance : { acceptance, expiresUs };
}

function problemOf(spec: Record<string, unknown>, match: Record<string, unknown>): string | undefined {
  const { workload } = match;
  return (
    unknownKey("spec", spec, SPEC_KEYS) ??
    unknownKey("spec.match", match, MATCH_KEYS) ??
    unknownKey("spec.match.workload", toObject(workload), WORKLOAD_KEYS) ??
    (workload !== undefined && !isObject(workload) ? "spec.match.workload: no object" : undefined) ??
    notText("spec", spec, ["reason", "owner", "expires"]) ??
    notText(
      "spec.match",
      match,
      MATCH_KEYS.filter((key) => key !== "workload" && key !== "port"),
    ) ??
    invalidPort(match) ??
    notText("spec.match.workload", toObject(workload), WORKLOAD_KEYS) ??
    missing("spec.match.policy", match["policy"]) ??
    missing("spec.reason", spec["reason"])
  );
}

function unknownKey(
  path: string,
  object: Record<string, unknown>,
  known: readonly string[],
): string | undefined {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown === undefined) return undefined;
  const shown = unknown.length > 64 ? `${unknown.slice(0, 64)}…` : unknown;
  return `${path}.${shown}: no such key; ${path} has ${known.join(", ")}`;
}

function notText(path: string, object: Record<string, unknown>, keys: readonly string[]): string | undefined {
  const wrong = keys.find((key) => object[key] !== undefined && typeof object[key] !== "string");
  return wrong === undefined ? undefined : `${path}.${wrong}: no text`;
}

function invalidPort({ port, protocol, operation }: Record<string, unknown>): string | undefined {
  if (port === undefined && protocol === undefined) return undefined;
  if (!NETWORK_OPERATIONS.includes(operation)) {
    return "spec.match: port and protocol need operation Network or NetworkFirewall";
  }
  const isPort =
    port === undefined || (Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535);
  return isPort ? undefined : "spec.match.port: expected a whole number from 1 to 65535";
}

function missing(path: string, value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? undefined : `${path}: must not be empty`;
}
