// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `accept` prints or applies an AcceptedViolation for exactly one violation; `accepted` lists those of the cluster.

import type { AcceptanceMatch } from "../../../src/api/acceptance.ts";
import { API_GROUP_VERSION } from "../../../src/api/names.ts";
import { compare } from "../../../src/lib/compare.ts";
import { resolveDotSegments } from "../../../src/lib/path.ts";
import { parseDuration } from "../../../src/lib/quantity.ts";
import { formatAge, formatMicroTime } from "../../../src/lib/time.ts";
import { type Column, layOut } from "../render/columns.ts";
import { parseFilter } from "../reports/filter.ts";
import { describeHeartbeat } from "../reports/heartbeat.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import { reportPath, type ViolationRef } from "../reports/report-view.ts";
import type { Acceptance } from "../reports/sources/report-source.ts";
import { parseSince, toMs } from "../reports/when.ts";
import { formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { describeScope, parseLimit, parseScope, type Session } from "../session/session.ts";
import { escapeData, plain } from "../text/escape.ts";
import { findById } from "./explain.ts";
import { toYaml } from "./output-forms.ts";

const KIND = "AcceptedViolation";

/** Prints the AcceptedViolation of one violation, or applies it. */
export async function accept(session: Session, id: string, flags: Flags): Promise<ExitCode> {
  const { terminal, clock, source } = session;
  if (!/^[0-9a-f]{6,16}$/.test(id)) {
    throw createUsageError(
      `invalid id "${plain(id)}": expected 16 hex digits; \`kubectl violations -o wide\` shows them.`,
    );
  }
  const reason = (flags.reason ?? "").trim();
  if (reason === "") throw createUsageError("--reason is required: say why the violation is accepted.");
  const expires = parseExpiry(flags.expires, clock.nowMs());
  if (flags.name !== undefined && !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(flags.name)) {
    throw createUsageError(
      `invalid value "${plain(flags.name)}" for --name: expected the name of a Kubernetes object.`,
    );
  }
  const found = requireOne((await findById(session, id, flags)).filter(parseFilter(flags, 0).matches), id);
  const { namespace } = found.report.metadata;
  if (namespace === undefined) {
    throw createUsageError(
      `${plain(found.violation.id)} is a violation of ${plain(reportPath(found.report))}, which belongs to no namespace: ` +
        "only violations in a namespace can be accepted.",
    );
  }
  const name = flags.name ?? `accept-${found.violation.id}`;
  const acceptance = {
    apiVersion: API_GROUP_VERSION,
    kind: KIND,
    metadata: { name, namespace },
    spec: {
      match: matchExactly(found),
      reason,
      ...(flags.owner === undefined ? {} : { owner: flags.owner }),
      ...(expires === undefined ? {} : { expires }),
    },
  };
  if (found.accepted !== undefined) terminal.err(`note: it is already accepted by ${plain(found.accepted)}.\n`);
  if (!flags.apply) {
    terminal.out(toYaml(acceptance));
    return EXIT.ok;
  }
  if (!source.apply) throw createUsageError("--apply needs a cluster, and can't go with --from.");
  const done = await source.apply(acceptance);
  terminal.out(`acceptedviolation ${namespace}/${name} ${done}\n`);
  await warnIfSilent(session);
  return EXIT.ok;
}

/** Warns on standard error that no operator runs, without which no acceptance has an effect. */
async function warnIfSilent({ source, clock, terminal }: Session): Promise<void> {
  const beat = await source.heartbeat?.(clock.nowMs());
  if (beat?.state === "silent") terminal.err(`note: ${describeHeartbeat(beat)}.\n`);
}

function requireOne(found: readonly ViolationRef[], id: string): ViolationRef {
  const [first] = found;
  if (first === undefined) throw new PluginError(EXIT.failed, `no violation ${plain(id)} matches the flags.`);
  if (found.length === 1) return first;
  const places = found.map(({ report }) => plain(reportPath(report))).join(", ");
  throw createUsageError(
    `several reports list ${plain(id)} (${places}): choose with -n and --policy, or give the whole id.`,
  );
}

function parseExpiry(text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  const atMs = duration === undefined ? parseSince(text, nowMs, "--expires") : nowMs + duration;
  if (atMs <= nowMs) throw createUsageError(`invalid value "${plain(text)}" for --expires: it is in the past.`);
  return `${formatMicroTime(Math.floor(atMs / 1000) * 1_000_000).slice(0, 19)}Z`;
}

/** Every key, also those that the violation does not have: an absent one would match others, too. */
function matchExactly({ report, violation }: ViolationRef): AcceptanceMatch {
  const { workload, container = "", operation, verb = "", resource = "", source = "", outcome } = violation;
  return {
    policy: report.policy.name,
    workload: { kind: workload.kind, name: workload.name },
    container,
    operation,
    verb,
    resource: escapeGlob(resource),
    source: escapeGlob(source),
    outcome,
  };
}

/** A folded name has a `*` of its own, which is to match itself; so has a relative path `..`. */
function escapeGlob(text: string): string {
  const path = resolveDotSegments(text).replace(/[\\*?[\]{}()!]/g, "\\$&");
  return path.replace(/(?<![^/=\s])\.\.(?=\/|$)/g, "\\.\\.");
}

const FORMS = ["json", "yaml"];

/** Lists the AcceptedViolations of the call's scope; those that expire first come first. */
export async function listAccepted(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal, clock, source } = session;
  if (flags.output !== undefined && !FORMS.includes(flags.output)) {
    throw createUsageError(`invalid value "${plain(flags.output)}" for -o: expected json or yaml.`);
  }
  if (!source.acceptances) throw createUsageError("acceptances are in the cluster, not in files: leave out --from.");
  const limit = parseLimit(flags, session);
  const scope = parseScope(flags, session);
  const nowMs = clock.nowMs();
  const found = (await source.acceptances(scope)).sort(compareExpiry);
  await warnIfSilent(session);
  const shown = found.slice(0, limit);
  if (flags.output !== undefined) {
    const data = escapeData({ acceptedViolations: shown.map(omitManagedFields) });
    terminal.out(flags.output === "json" ? `${JSON.stringify(data, null, 2)}\n` : toYaml(data));
    return EXIT.ok;
  }
  if (found.length === 0) {
    terminal.err(`${formatSentence(`No AcceptedViolation exists ${describeScope(scope)}`)}\n`);
    return EXIT.ok;
  }
  const table = layOut(createAcceptanceColumns(nowMs, scope.namespace === undefined), shown, terminal.columns);
  terminal.out(flags.headers === false ? table.slice(table.indexOf("\n") + 1) : table);
  if (shown.length < found.length) terminal.err(`${found.length - shown.length} more; --limit 0 shows all.\n`);
  return EXIT.ok;
}

/** As kubectl prints objects. */
function omitManagedFields({ metadata, ...rest }: Acceptance): Acceptance {
  const { managedFields: _, ...own } = metadata as Acceptance["metadata"] & { managedFields?: unknown };
  return { ...rest, metadata: own };
}

const STATES = ["Invalid", "Expired", "MatchesNothing", "MatchesEverything", "Active"];

/**
 * State of an acceptance, in a word: Denied where the operator's configuration makes it Invalid, Unknown where the
 * operator has not seen its last change. An end that has passed needs no operator.
 */
export function getAcceptanceState(acceptance: Acceptance, nowMs: number): string {
  const { metadata, status } = acceptance;
  if (expiryMs(acceptance) <= nowMs) return "Expired";
  const { generation = 0 } = metadata;
  if ((status?.observedGeneration ?? generation) < generation) return "Unknown";
  const conditions = Array.isArray(status?.conditions) ? status.conditions : [];
  const find = (type: string) => conditions.find((one) => one?.type === type && one.status === "True");
  if (find("Invalid")?.reason === "Denied") return "Denied";
  return STATES.find(find) ?? "Unknown";
}

function expiryMs({ spec }: Acceptance): number {
  return typeof spec?.expires === "string" ? toMs(spec.expires) : Number.POSITIVE_INFINITY;
}

function compareExpiry(a: Acceptance, b: Acceptance): number {
  const [x, y] = [expiryMs(a), expiryMs(b)];
  return (x === y ? 0 : x - y) || compare(getPath(a), getPath(b));
}

function getPath({ metadata }: Acceptance): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** `in 12d`, `12d ago`, `never`. */
export function formatExpiry(acceptance: Acceptance, nowMs: number): string {
  const ms = expiryMs(acceptance);
  if (ms === Number.POSITIVE_INFINITY) return "never";
  return ms > nowMs ? `in ${formatAge(ms - nowMs)}` : `${formatAge(nowMs - ms)} ago`;
}

function createAcceptanceColumns(nowMs: number, isAll: boolean): Column<Acceptance>[] {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? plain(value) : "-");
  const columns: (Column<Acceptance> | false)[] = [
    isAll && { title: "NAMESPACE", cell: ({ metadata }) => text(metadata.namespace), minWidth: 9 },
    { title: "NAME", cell: ({ metadata }) => text(metadata.name), minWidth: 12 },
    { title: "STATE", cell: (one) => getAcceptanceState(one, nowMs) },
    { title: "EXPIRES", cell: (one) => formatExpiry(one, nowMs) },
    { title: "MATCHED", cell: ({ status }) => String(status?.matched?.violations ?? "-"), align: "right" },
    { title: "OWNER", cell: ({ spec }) => text(spec?.owner), isOptional: true },
    { title: "POLICY", cell: ({ spec }) => text(spec?.match?.policy), isOptional: true },
    { title: "REASON", cell: ({ spec }) => text(spec?.reason) },
  ];
  return columns.filter((column) => column !== false);
}
