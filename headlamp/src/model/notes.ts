// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Sentences on the limits of what a page shows.
// Invariant: pure; an empty list of reports is never called an absence of violations.

import { describeHeartbeat, type Heartbeat } from "../../../plugin/src/reports/heartbeat.ts";
import { describeCut } from "../../../plugin/src/reports/totals.ts";
import { formatCount, formatSentence } from "../../../plugin/src/reports/words.ts";
import { REPORT_PLURAL } from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Findings, Subject } from "./findings.ts";

/** A request that failed, as Headlamp reports it. */
export interface ListError {
  /** Plural of the resource: `policyviolationreports`. */
  resource: string;
  status?: number;
  message: string;
  cluster?: string;
  namespace?: string;
}

/** Says why reports are missing. */
export function describeListError({ resource, status, message, cluster, namespace }: ListError): string {
  const place = [namespace && `namespace ${namespace}`, cluster && `cluster ${cluster}`].filter(Boolean);
  const where = place.length > 0 ? ` in ${place.join(" of ")}` : "";
  if (status === 403 && resource === REPORT_PLURAL && namespace === undefined) {
    return (
      `You may not list ${resource} of all namespaces${where}: set the allowed namespaces in the cluster's settings in ` +
      "Headlamp, or ask for the ClusterRole view."
    );
  }
  if (status === 403) return `You may not list ${resource}${where}: ask for the ClusterRole view.`;
  if (status === 404) {
    return `The server has no ${resource}${where}: the CRDs of policy-violation-operator are not installed.`;
  }
  return formatSentence(`The ${resource}${where} could not be read: ${message}`);
}

/** Says what a page over several reports does not show. */
export function describeLimits(
  reports: readonly Report[],
  errors: readonly ListError[],
  heartbeat: Heartbeat | undefined,
): string[] {
  const notes = errors.map(describeListError);
  const silent = heartbeat && describeHeartbeat(heartbeat);
  if (silent) notes.push(formatSentence(silent));
  const cut = reports.filter(({ omitted }) => omitted !== undefined);
  if (cut.length > 0) notes.push(formatSentence(describeCut(cut)));
  const less = reports.filter(({ coverage }) => coverage.lowerBound).length;
  if (less > 0) {
    notes.push(`Numbers with ≥ are lower bounds: alerts may have been missed for ${formatCount(less, "report")}.`);
  }
  return notes;
}

/** Says what is known where no violation is listed. */
export function describeNone({
  reports,
  errors,
}: {
  reports: readonly Report[];
  errors: readonly ListError[];
}): string {
  if (errors.length > 0 && reports.length === 0) return "Unknown: no report could be read.";
  if (errors.length > 0) return "The reports that could be read list no such violation.";
  if (reports.some(({ omitted }) => omitted !== undefined)) return "No such violation is listed; some lists are cut.";
  return "No such violation is reported. What no KubeArmor policy covers is unknown here.";
}

/** Says what the violations of one object do not show. */
export function describeFindings({ findings, cut, unnamed }: Findings, { kind }: Subject): string[] {
  const notes: string[] = [];
  if (cut.length > 0) notes.push(formatSentence(`${describeCut(cut)}, and may concern this ${kind}`));
  if (unnamed > 0) {
    const more = findings.length > 0 ? "more " : "";
    notes.push(
      `${formatCount(unnamed, `${more}violation`)} here ${unnamed === 1 ? "does" : "do"} not list all pods, ` +
        `and may concern this ${kind}.`,
    );
  }
  return notes;
}
