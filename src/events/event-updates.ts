// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Derives Events from a persisted write: one update per violation and pod (or node) of that write.
// Invariant: pure; Events follow the persisted report, so a report always says at least what its Events say.

import type { Tally } from "../aggregate/counts/tally.ts";
import { getWrittenRule } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { RuleFacts } from "../ingest/violation/rule.ts";
import type { Identity, ThrottleNotice } from "../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../lib/pacing/steps.ts";
import type { EventUpdate, Regarding } from "./event-recorder.ts";

/** Entries for which updates are created in one step. */
const ENTRIES_PER_STEP = 64;

/**
 * Passes on the occurrences of the write in flight of `ledger`, which was stored as `report`, but for what is
 * accepted.
 */
export function* recordEventUpdates(ledger: Ledger, report: Report, record: (update: EventUpdate) => void): Steps {
  const { name, uid } = report.metadata;
  const related = { kind: report.kind, name, namespace: ledger.namespace, uid };
  const accepted = new Set(report.violations.filter((each) => each.accepted).map(({ id }) => id));
  yield* visitInSteps(
    ledger.write.entries,
    (entry) => {
      if (accepted.has(entry.id)) return;
      const { identity } = entry;
      const { operation, action, outcome } = identity;
      const note = composeNote(ledger, identity, getWrittenRule(entry));
      const shared = { related, policy: ledger.policyName, operation, action, outcome, note };
      for (const subject of listSubjects(ledger, entry.inFlight, identity)) record({ ...subject, ...shared });
    },
    ENTRIES_PER_STEP,
  );
}

/** Builds the update that informs an application team that its pod's alerts are throttled. */
export function createThrottleUpdate(notice: ThrottleNotice): EventUpdate | undefined {
  const { namespace, pod, node } = notice;
  const regarding = toRegarding(namespace, pod, node);
  if (!regarding) return undefined;
  const what = notice.container === "" ? regarding.kind.toLowerCase() : `container ${notice.container}`;
  return {
    regarding,
    policy: "",
    operation: "",
    action: "",
    outcome: "Throttled",
    note:
      `KubeArmor throttled the alerts of this ${what} for up to ${notice.intervalSeconds} s: it raised more than ` +
      `${notice.maxAlertsPerSec} in a second. Violations in that time are not counted.`,
    count: 1,
    firstUs: notice.timeUs,
    lastUs: notice.timeUs,
  };
}

interface Subject {
  regarding: Regarding;
  count: number;
  firstUs: number;
  lastUs: number;
}

function listSubjects({ namespace }: Ledger, tally: Tally | undefined, { workload }: Identity): Subject[] {
  if (!tally) return [];
  if (namespace !== undefined) return [...tally.pods.values()].map((pod) => toPodSubject(namespace, pod, tally));
  // A pod of a namespace that is gone, or of no Kubernetes at all, has nothing that an Event could be about.
  if (workload.kind !== "Node") return [];
  const regarding = { kind: "Node", name: workload.name } as const;
  return [{ regarding, count: tally.occurrences, firstUs: tally.firstUs, lastUs: tally.lastUs }];
}

function toPodSubject(
  namespace: string,
  pod: { name: string; occurrences: number; lastUs: number },
  tally: Tally,
): Subject {
  return {
    regarding: { kind: "Pod", namespace, name: pod.name },
    count: pod.occurrences,
    firstUs: Math.min(tally.firstUs, pod.lastUs),
    lastUs: pod.lastUs,
  };
}

function toRegarding(namespace: string | undefined, pod: string, node: string): Regarding | undefined {
  if (pod !== "") return namespace === undefined ? undefined : { kind: "Pod", namespace, name: pod };
  return node === "" ? undefined : { kind: "Node", name: node };
}

const VERB = { Prevented: "was blocked", Allowed: "was not blocked", Unknown: "was reported" } as const;

/** One sentence that stays the same for a series: the action, its source, its outcome and the policy. */
function composeNote(ledger: Ledger, identity: Identity, { severity, message }: RuleFacts): string {
  // Process alone is the start of a program.
  const verb = identity.verb === "exec" ? "" : identity.verb;
  const what = [identity.operation, verb, identity.resource].filter((part) => part !== "").join(" ");
  const by = identity.source === "" ? "" : ` by ${identity.source}`;
  const where = identity.container === "" ? "" : ` in container ${identity.container}`;
  const how = severity === 0 ? "" : ` (severity ${severity})`;
  const tail = message === "" ? "" : `: ${message}`;
  return `${what}${by}${where} ${VERB[identity.outcome]}: policy ${ledger.policyName}${how}${tail}`;
}
