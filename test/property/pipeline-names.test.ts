// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts from before KubeArmor knew the owner of their pod or the name of their container: they join the others in each
// order of arrival, after writes, a restart, a crash with a journal, a takeover and at the bounds of memory.

import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createFolder } from "../support/folder.ts";
import { alert, formatTimeAt, MEMORY } from "../support/gen.ts";
import { findFaults } from "../unit/report/report-check.ts";
import { runReplay } from "./pipeline-replay.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const ids = { web: "1".repeat(64), proxy: "2".repeat(64), init: "3".repeat(64), other: "4".repeat(64) };
const NO_OWNER = { OwnerRef: "", OwnerName: "", OwnerNamespace: "" };

/** An alert of a File policy. Later mods win. */
function open(ms: number, id: keyof typeof ids, ...mods: Partial<Alert>[]): Alert {
  const container = { ContainerID: ids[id], ContainerName: id, PodName: "web-1" };
  const file = { Operation: "File", Resource: "/data/x", ProcessName: "/bin/tool", Source: "/bin/tool" };
  return alert({ UpdatedTime: formatTimeAt(ms), HostPID: ms + 1, PolicyName: "files" }, container, file, ...mods);
}

function omitName(id: keyof typeof ids): Partial<Alert> {
  return { ContainerName: ids[id] };
}

/** policy: violations workloads | workload/container xN */
function toRows(reports: readonly Report[]): string[] {
  for (const report of reports) expect(findFaults(report)).toEqual([]);
  return reports
    .flatMap(({ policy, summary, violations }) => [
      `${policy.name}: ${summary.violations} ${summary.workloads} ${summary.pods}`,
      ...violations.map(
        ({ workload, container = "", occurrences }) =>
          `${policy.name} | ${workload.kind}/${workload.name}/${container} x${occurrences}`,
      ),
    ])
    .sort();
}

function* permute<T>(items: readonly T[]): Iterable<T[]> {
  if (items.length <= 1) yield [...items];
  for (const [i, first] of items.entries())
    for (const rest of permute([...items.slice(0, i), ...items.slice(i + 1)])) yield [first, ...rest];
}

function toLine(each: Alert): string {
  const { OwnerRef, OwnerName, OwnerNamespace, ...fields } = each;
  const owner = OwnerName === "" ? {} : { Owner: { Ref: OwnerRef, Name: OwnerName, Namespace: OwnerNamespace } };
  return JSON.stringify({ ...fields, ...owner });
}

interface Case {
  alerts: readonly Alert[];
  rows: readonly string[];
}

const CASES: Record<string, Case> = {
  "of one container": {
    alerts: [
      open(1, "web", NO_OWNER, omitName("web")),
      open(2, "web", NO_OWNER),
      open(3, "web", omitName("web")),
      open(4, "web"),
    ],
    rows: ["files: 1 1 1", "files | Deployment/web/web x4"],
  },
  "of two containers of a pod": {
    alerts: [
      open(1, "web", NO_OWNER, omitName("web")),
      open(2, "proxy", NO_OWNER, omitName("proxy")),
      open(3, "web"),
      open(4, "proxy", NO_OWNER),
    ],
    rows: ["files: 2 1 1", "files | Deployment/web/proxy x2", "files | Deployment/web/web x2"],
  },
  "of two pods": {
    alerts: [
      open(1, "web", omitName("web")),
      open(2, "other", omitName("other"), { PodName: "web-2" }),
      open(3, "web"),
      open(4, "other", { PodName: "web-2", ContainerName: "web" }),
    ],
    rows: ["files: 1 1 2", "files | Deployment/web/web x4"],
  },
  "next to an init container, which never has a name": {
    alerts: [
      open(1, "init", NO_OWNER, omitName("init")),
      open(2, "web", NO_OWNER, omitName("web")),
      open(3, "web"),
      open(4, "init", omitName("init"), { ContainerID: "5".repeat(64), ContainerName: "5".repeat(64) }),
    ],
    rows: ["files: 2 1 1", "files | Deployment/web/ x2", "files | Deployment/web/web x2"],
  },
  "whose names another policy's alert brings": {
    alerts: [
      open(1, "web", NO_OWNER, omitName("web")),
      open(2, "proxy", NO_OWNER, omitName("proxy")),
      open(3, "web", { PolicyName: "other" }),
    ],
    rows: [
      "files: 2 1 1",
      "files | Deployment/web/ x1",
      "files | Deployment/web/web x1",
      "other: 1 1 1",
      "other | Deployment/web/web x1",
    ],
  },
  "of a bare pod": {
    alerts: [
      open(1, "web", NO_OWNER, omitName("web")),
      open(2, "web", { OwnerRef: "Pod", OwnerName: "web-1" }),
      open(3, "web", NO_OWNER),
    ],
    rows: ["files: 1 1 1", "files | Pod/web-1/web x3"],
  },
  "of pods of the same name in two namespaces": {
    alerts: [
      open(1, "web", NO_OWNER, omitName("web")),
      open(2, "web", NO_OWNER, { NamespaceName: "bank" }),
      open(3, "web"),
    ],
    rows: ["files: 1 1 1", "files: 1 1 1", "files | Deployment/web/web x2", "files | Pod/web-1/web x1"],
  },
};

describe.each(Object.entries(CASES))("alerts without names, %s,", (_, { alerts, rows }) => {
  it("give the same bytes in each order of a file", async () => {
    const texts = new Set<string>();
    for (const order of permute(alerts)) {
      const { files, reports } = await runReplay(order.map(toLine).join("\n"));
      expect(toRows(reports)).toEqual([...rows].sort());
      texts.add(JSON.stringify(files));
    }
    expect(texts.size).toBe(1);
  });

  it("join the others after each of them was written", async () => {
    for (const order of permute(alerts)) {
      const run = await startSimulation();
      for (const each of order) {
        await run.sendAndWait(120_000, each);
      }
      await run.stop();
      expect(toRows(run.store.reports)).toEqual([...rows].sort());
      expect(run.store.reports.every(({ coverage }) => !coverage.lowerBound)).toBe(true);
    }
  });
});

describe("alerts without names", () => {
  const { alerts, rows } = CASES["of one container"] as Case;

  it("join the others over a restart after each of them", async () => {
    for (const order of permute(alerts)) {
      let run = new Simulation();
      for (const each of order) {
        run = await startSimulation({ store: run.store, clock: run.clock });
        run.pipeline.onAlert(each, 0);
        await run.stop();
      }
      const [report] = run.store.reports;
      expect(report?.summary.occurrences).toBe(alerts.length);
      // A new process learns names again: what is unresolved at its end stays so until then.
      if (order.at(-1) === alerts[3]) expect(toRows(run.store.reports)).toEqual([...rows].sort());
    }
  });

  it.each([
    ["before the first write", 100],
    ["after it", 3000],
  ])("join the others over a crash with a journal, %s", async (_, afterMs) => {
    for (const crash of [1, 2, 3]) {
      const dir = createFolder();
      const path = join(dir, "journal.db");
      const journal = (name: string) => createSqliteJournal({ path: join(dir, name), maxBytes: 2 ** 24 });
      const killed = await startSimulation({ journal: journal("journal.db") });
      for (const each of alerts.slice(0, crash)) killed.pipeline.onAlert(each, 0);
      await killed.clock.advance(afterMs);
      for (const part of ["", "-wal"])
        if (existsSync(path + part)) copyFileSync(path + part, join(dir, `copy.db${part}`));
      const clock = new FakeClock(killed.clock.nowMs() + 1000);
      const next = await startSimulation({ store: killed.store, clock, journal: journal("copy.db") });
      for (const each of alerts.slice(crash)) next.pipeline.onAlert(each, 0);
      await next.stop();
      expect(toRows(next.store.reports)).toEqual([...rows].sort());
    }
  });

  it("join the others of pods that are evicted, and none is counted twice", async () => {
    const memory = { ...MEMORY, maxViolations: 6, maxViolationsPerWorkload: 3 };
    const run = await startSimulation({ options: { memory } });
    for (let i = 0; i < 40; i++) {
      const mods = { PodName: `web-${i % 5}`, Resource: `/data/${i % 7}` };
      run.pipeline.onAlert(open(i, "web", mods, i % 3 === 0 ? NO_OWNER : {}, i % 2 === 0 ? omitName("web") : {}), 0);
      await run.clock.advance(1000);
    }
    await run.stop();
    const [report] = run.store.reports;
    expect(findFaults(report as Report)).toEqual([]);
    expect(report?.summary.occurrences).toBe(40);
  });

  it("of more than 100 unnamed containers are joined for good", async () => {
    const run = await startSimulation();
    for (let i = 0; i < 250; i++) {
      const id = `${i}`.padStart(64, "a");
      run.pipeline.onAlert(open(i, "init", { ContainerID: id, ContainerName: id, PodName: `web-${i}` }), 0);
      if (i % 50 === 0) await run.clock.advance(10_000);
    }
    await run.clock.advance(120_000);
    run.pipeline.onAlert(open(300, "web"), 0);
    await run.stop();
    expect(toRows(run.store.reports)).toEqual([
      "files | Deployment/web/ x250",
      "files | Deployment/web/web x1",
      "files: 2 1 250",
    ]);
    expect(run.pipeline.aggregator.stats.violations).toBeLessThanOrEqual(102);
  });
});
