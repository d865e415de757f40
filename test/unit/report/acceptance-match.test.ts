// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Alert } from "../../../src/api/alert.ts";
import type { ReportBody } from "../../../src/api/v1alpha1.ts";
import { recordEventUpdates } from "../../../src/events/event-updates.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { type Acceptance, compileAcceptance } from "../../../src/report/acceptance-match.ts";
import { type AcceptanceCatalog, AcceptanceSet } from "../../../src/report/acceptance-set.ts";
import { renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, hostAlert, renderOptions } from "../../support/gen.ts";
import { addAll, createAggregator } from "../ingest/fold-alerts.ts";

function createAcceptance(name: string, match: object): Acceptance {
  const compiled = compileAcceptance(name, { policy: "no-package-managers", ...match });
  if ("problem" in compiled) throw new Error(compiled.problem);
  return compiled;
}

/** The catalog of a namespace that has these. */
function createCatalog(namespace: string, all: readonly Acceptance[]): AcceptanceCatalog {
  return { find: (where, policy) => (where === namespace ? createSet(all, policy) : undefined) };
}

function createSet(all: readonly Acceptance[], policy: string): AcceptanceSet | undefined {
  const set = new AcceptanceSet(() => 0);
  for (const each of all) if (each.policy === policy) set.put(each, undefined);
  return set.isActive ? set : undefined;
}

/** The only report of these alerts, and the Events of its write. */
function writeReport(
  alerts: readonly Alert[],
  acceptances: AcceptanceCatalog,
  maxViolations = 300,
): { body: ReportBody; events: number } {
  const aggregator = addAll(createAggregator(), alerts);
  const [ledger] = [...aggregator.ledgers.values()];
  if (!ledger) throw new Error("no report");
  ledger.write.take();
  const options = renderOptions();
  const body = renderReport(ledger, { ...options, limits: { ...options.limits, maxViolations }, acceptances });
  let events = 0;
  runAtOnce(
    recordEventUpdates(ledger, buildReport(ledger, body, undefined, undefined), () => {
      events++;
    }),
  );
  return { body, events };
}

const APT = alert({ UpdatedTime: formatTimeAt(0) });
const CURL = alert({ ProcessName: "/usr/bin/curl", Resource: "/usr/bin/curl x", UpdatedTime: formatTimeAt(1) });
const READ = alert({
  Operation: "File",
  Resource: "/etc/shadow",
  Action: "Audit",
  Result: "Passed",
  UpdatedTime: formatTimeAt(2),
});
const ALL = [APT, APT, CURL, READ].map((one, i) => ({ ...one, HostPID: i + 1 }));

describe("what is accepted", () => {
  it("is marked, counted as before, and not open", () => {
    const { body, events } = writeReport(
      ALL,
      createCatalog("shop", [createAcceptance("apt", { resource: "/usr/bin/apt" })]),
    );
    expect(body.summary).toMatchObject({
      occurrences: 4,
      prevented: 3,
      allowed: 1,
      violations: 3,
      accepted: { violations: 1, occurrences: 2 },
      open: { occurrences: 2, prevented: 1, allowed: 1, unknown: 0, violations: 2, severity: "medium" },
    });
    expect(body.violations.map(({ resource, accepted }) => [resource, accepted?.by])).toEqual([
      ["/etc/shadow", undefined],
      ["/usr/bin/curl", undefined],
      ["/usr/bin/apt", "apt"],
    ]);
    expect(events).toBe(2);
  });

  it("leaves no severity when it is all", () => {
    const { body, events } = writeReport(ALL, createCatalog("shop", [createAcceptance("all", {})]));
    expect(body.summary.open).toEqual({
      occurrences: 0,
      prevented: 0,
      allowed: 0,
      unknown: 0,
      violations: 0,
      severity: "accepted",
    });
    expect(body.summary.severity).toBe("medium");
    expect(events).toBe(0);
  });

  it("is covered by the first of several", () => {
    const both = [createAcceptance("a", {}), createAcceptance("b", {})];
    expect(writeReport(ALL, createCatalog("shop", both)).body.violations.map(({ accepted }) => accepted?.by)).toEqual([
      "a",
      "a",
      "a",
    ]);
  });

  it("has no container, resource or source where the acceptance says so", () => {
    const bare = alert({
      Operation: "Syscall",
      Data: "syscall=SYS_MOUNT",
      ContainerName: "",
      Resource: "",
      UpdatedTime: formatTimeAt(3),
    });
    const match = { operation: "Syscall", container: "", resource: "" };
    const accepted = (alerts: readonly Alert[]) =>
      writeReport(alerts, createCatalog("shop", [createAcceptance("bare", match)])).body.violations.map(
        (each) => each.accepted?.by,
      );
    expect(accepted([bare])).toEqual(["bare"]);
    expect(accepted([{ ...bare, Data: "syscall=SYS_MOUNT source=x target=/etc" }])).toEqual([undefined]);
    expect(accepted([{ ...bare, ContainerName: "web" }])).toEqual([undefined]);
  });

  it("is nothing of another namespace, of another policy, or of the cluster", () => {
    const none = (alerts: readonly Alert[], acceptances: AcceptanceCatalog) => {
      const { body } = writeReport(alerts, acceptances);
      expect(body.summary).not.toHaveProperty("accepted");
      expect(body.summary.open?.occurrences).toBe(body.summary.occurrences);
    };
    none(ALL, createCatalog("bank", [createAcceptance("all", {})]));
    none(ALL, createCatalog("shop", [createAcceptance("other", { policy: "other" })]));
    const wherever = { find: () => createSet([createAcceptance("all", { policy: "host-files" })], "host-files") };
    none([hostAlert()], wherever);
  });

  it("is accepted where there is no room to list it", () => {
    const { body } = writeReport(ALL, createCatalog("shop", [createAcceptance("all", {})]), 1);
    expect(body.summary.accepted).toEqual({ violations: 3, occurrences: 4 });
    expect(body.omitted).toEqual({ violations: 2, occurrences: 3 });
    expect(body.summary.open).toMatchObject({ occurrences: 0, violations: 0, severity: "accepted" });
  });
});
