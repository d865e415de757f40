// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Acceptances of violations, as their authors wrote them.
// Invariant: an acceptance has no effect outside its own namespace, and changes no count.

import type { AcceptanceMatch } from "../api/acceptance.ts";
import type { AcceptedSum, Open, SeverityLevel, Summary, Violation } from "../api/v1alpha1.ts";
import { MASK } from "../ingest/evidence/secrets/marks.ts";
import { parseEndpoint } from "../ingest/violation/network.ts";
import type { Identity } from "../ingest/violation/violation.ts";
import { type Glob, parseGlob, type Work } from "../lib/glob.ts";
import { hasDotSegments, resolveDotSegments } from "../lib/path.ts";
import { ELLIPSIS } from "../lib/sanitize.ts";

export interface Acceptance {
  name: string;
  policy: string;
  /** True where nothing but the policy narrows it. */
  isWide: boolean;
  /** Adds its cost to `work`. */
  matches: (identity: Identity, work?: Work) => boolean;
}

/** Compiles the match of an acceptance; `problem` is a sentence that says why it is invalid. */
export function compileAcceptance(name: string, match: AcceptanceMatch): Acceptance | { problem: string } {
  const { workload = {}, container, operation, verb, port, protocol, outcome } = match;
  const resource = toGlob("resource", match.resource);
  if ("problem" in resource) return resource;
  const source = toGlob("source", match.source);
  if ("problem" in source) return source;
  const exact = [workload.kind, workload.name, container, operation, verb, port, protocol, outcome];
  return {
    name,
    policy: match.policy,
    isWide: exact.every((value) => value === undefined) && resource.isAny && source.isAny,
    matches: (identity, work) =>
      isOr(workload.kind, identity.workload.kind) &&
      isOr(workload.name, identity.workload.name) &&
      isOr(container, identity.container) &&
      isOr(operation, identity.operation) &&
      isOr(verb, identity.verb) &&
      isNetwork(port, protocol, identity) &&
      isOr(outcome, identity.outcome) &&
      resource.matches(identity.resource, work) &&
      source.matches(identity.source, work),
  };
}

/**
 * A glob is matched with the resolved path: `/usr/../etc/shadow` is not under `/usr`. A part that was cut off or masked
 * may have had a `..`, too: it matches only `**`, or a glob in which it is written.
 */
function toGlob(field: string, pattern: string | undefined): Glob | { problem: string } {
  if (pattern === undefined) return { matches: () => true, isAny: true };
  if (pattern === "") return { matches: (text) => text === "", isAny: false };
  const glob = parseGlob(pattern);
  if ("problem" in glob) return { problem: `spec.match.${field}: ${glob.problem}` };
  if (hasDotSegments(pattern)) return { problem: `spec.match.${field}: write the path without . and .. in it` };
  const written = pattern.replaceAll("\\", "");
  const matches = (text: string, work?: Work) =>
    (glob.isAny || holdsWrittenParts(text, written)) && glob.matches(resolveDotSegments(text), work);
  return { isAny: glob.isAny, matches };
}

/** True where what was cut off or masked in `text` is in `written`, too, as often. */
function holdsWrittenParts(text: string, written: string): boolean {
  return (!text.endsWith(ELLIPSIS) || written.endsWith(ELLIPSIS)) && countMasks(text) <= countMasks(written);
}

function countMasks(text: string): number {
  return text.split(MASK).length - 1;
}

function isOr(wanted: string | undefined, found: string): boolean {
  return wanted === undefined || wanted === found;
}

/** True unless a port or protocol is set that the violation does not have. */
function isNetwork(port: number | undefined, protocol: string | undefined, identity: Identity): boolean {
  if (port === undefined && protocol === undefined) return true;
  const endpoint = parseEndpoint(identity);
  return (
    (port === undefined || port === endpoint.port) &&
    (protocol === undefined || protocol.toLowerCase() === endpoint.protocol)
  );
}

export type AcceptedCounts = Pick<Violation, "outcome" | "occurrences">;

/**
 * Divides a summary into the accepted violations, listed or not, and the rest; `openSeverity` is the highest severity of
 * the rest.
 */
export function divide(
  summary: Summary,
  marked: readonly AcceptedCounts[],
  openSeverity: SeverityLevel,
): { accepted?: AcceptedSum; open: Open } {
  const countMarked = (outcome?: Violation["outcome"]) =>
    marked
      .filter((violation) => outcome === undefined || violation.outcome === outcome)
      .reduce((sum, { occurrences }) => sum + occurrences, 0);
  const occurrences = summary.occurrences - countMarked();
  const open: Open = {
    occurrences,
    prevented: summary.prevented - countMarked("Prevented"),
    allowed: summary.allowed - countMarked("Allowed"),
    unknown: summary.unknown - countMarked("Unknown"),
    violations: summary.violations - marked.length,
    severity: occurrences > 0 ? openSeverity : "accepted",
  };
  if (marked.length === 0) return { open };
  return { accepted: { violations: marked.length, occurrences: countMarked() }, open };
}
