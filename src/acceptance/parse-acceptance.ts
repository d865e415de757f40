// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An AcceptedViolation as its author wrote it, read strictly.
// Invariant: what is not understood to the last key has no effect, and says why: an acceptance with a key that was
// passed over would accept more than its author meant.

import * as z from "zod";
import type { AcceptanceMatch, AcceptanceStatus } from "../api/acceptance.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";
import { type Acceptance, compileAcceptance } from "../report/acceptance-match.ts";

/** An acceptance without effect. */
export interface RefusedAcceptance {
  /** A sentence on why it accepts nothing. */
  problem: string;
  reason: "NotUnderstood" | "Denied" | "TooMany";
}

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
  effect: { acceptance: Acceptance; expiresUs: EpochUs | undefined } | RefusedAcceptance;
}

const EMPTY = "must not be empty";
const PORT = "expected a whole number from 1 to 65535";
const text = z.string({ error: ({ input }) => (input === undefined ? EMPTY : "expected text") });
const filledText = text.refine((value) => value.trim() !== "", { error: EMPTY });
const oneName = { error: "expected one name; wildcards are for resource and source" };
const isOneName = (value: string) => !value.includes("*");
const time = text.transform(parseMicroTime).pipe(z.number({ error: "expected a time such as 2027-01-31T00:00:00Z" }));

const matchSchema = strictObject({
  policy: filledText.refine(isOneName, oneName),
  workload: strictObject({ kind: text.optional(), name: text.optional() }).optional(),
  container: text.refine(isOneName, oneName).optional(),
  operation: text.regex(/^(?![a-z])/, "expected a capital letter first, as in Process or NetworkFirewall").optional(),
  verb: text.regex(/^[a-z0-9_-]*$/, "expected lower case and no glob, as in mount or mmap-exec").optional(),
  port: z.int(PORT).min(1, PORT).max(65_535, PORT).optional(),
  protocol: filledText.optional(),
  resource: text.optional(),
  source: text.optional(),
  outcome: z
    .enum(["Prevented", "Allowed", "Unknown"], { error: "expected one of Prevented, Allowed, Unknown" })
    .optional(),
}).refine(
  ({ port, protocol, operation }) =>
    (port === undefined && protocol === undefined) || [undefined, "Network", "NetworkFirewall"].includes(operation),
  { error: "port and protocol need operation Network or NetworkFirewall" },
);

const specSchema = strictObject({
  match: matchSchema,
  reason: filledText,
  owner: text.optional(),
  expires: time.optional(),
});

const metadataSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string().catch(""),
  generation: z.number().catch(0),
});

const objectSchema = z.object({
  metadata: metadataSchema,
  spec: z.object({ match: z.object({ policy: z.string().optional().catch(undefined) }) }).catch({ match: {} }),
  status: z.record(z.string(), z.unknown()).catch({}),
});

/** Reads an object of the API; undefined for anything but an object with a name. */
export function readAcceptance(item: unknown): ReadAcceptance | undefined {
  const { data } = objectSchema.safeParse(item);
  if (!data) return undefined;
  const { metadata, spec, status } = data;
  return {
    ...metadata,
    status: status as AcceptanceStatus,
    policy: spec.match.policy,
    effect: readEffect(metadata.name, (item as { spec?: unknown }).spec ?? {}),
  };
}

function readEffect(name: string, spec: unknown): ReadAcceptance["effect"] {
  const { data, error } = specSchema.safeParse(spec);
  if (error) {
    const { path, message } = error.issues[0] as z.core.$ZodIssue;
    return { problem: `${["spec", ...path].join(".")}: ${message}`, reason: "NotUnderstood" };
  }
  const acceptance = compileAcceptance(name, data.match as AcceptanceMatch);
  if ("problem" in acceptance) return { ...acceptance, reason: "NotUnderstood" };
  return { acceptance, expiresUs: data.expires };
}

const MAX_SHOWN = 64;

/** An object that has no other keys. */
function strictObject<T extends z.ZodRawShape>(shape: T) {
  const known = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return issue.input === undefined ? EMPTY : "expected an object";
      const [key = ""] = issue.keys as string[];
      return `unknown key ${key.length > MAX_SHOWN ? `${key.slice(0, MAX_SHOWN)}…` : key}, expected one of ${known}`;
    },
  });
}
