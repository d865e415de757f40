// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Nodes with clocks a month behind and ahead, and an operator whose clock is set both ways: retention deletes no live
// report, and no number is lost.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { wireAlert } from "../support/gen.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";

const DAY_MS = 86_400_000;
/** Each with alerts of a node with such a clock. */
const AHEAD_DAYS = { behind: -31, right: 0, ahead: 31 };
/** Sweeps follow each other within a second; what is kept is kept for an hour. */
const SWEEPS = { PVO_REPORTS_RETENTION_MS: "1h", PVO_REPORTS_RETENTION_SWEEP_MS: "200ms" };

describeReal("clocks that are wrong", () => {
  const cluster = useCluster({ crds: true, namespaces: ["shop"] });
  const bed = useNode(cluster);
  const ahead = join(createFolder(), "ahead");
  let sent = 0;

  function send(): void {
    for (const [PolicyName, days] of Object.entries(AHEAD_DAYS)) {
      const UpdatedTime = new Date(Date.now() + days * DAY_MS).toISOString().replace("Z", "000Z");
      bed.node.push([wireAlert({ PolicyName, NamespaceName: "shop", UpdatedTime, HostPID: ++sent })]);
    }
  }

  async function start() {
    const program = ["--import", join(import.meta.dirname, "../support/set-clock.mjs"), "src/main.ts"];
    return await bed.start({ program, env: { ...SWEEPS, TEST_CLOCK_AHEAD: ahead } });
  }

  const read = async () =>
    (await listReports(cluster)).map(({ metadata, summary }) => [metadata.uid, summary.occurrences]);
  const waitForReports = async (occurrences: number): Promise<Report[]> =>
    await eventually(`reports with ${occurrences}`, async () => {
      const reports = await listReports(cluster);
      return reports.length === 3 && reports.every(({ summary }) => summary.occurrences === occurrences) && reports;
    });
  /** Long enough for some sweeps. */
  const wait = () => new Promise((resolve) => setTimeout(resolve, 3000));

  test("delete no report that is in use, also after a restart", async () => {
    writeFileSync(ahead, "0");
    const first = await start();
    for (let i = 0; i < 5; i++) send();
    await waitForReports(5);
    await wait();
    const before = await read();
    expect(before.map(([, occurrences]) => occurrences)).toEqual([5, 5, 5]);
    expect(await first.stop()).toBe(0);
    const second = await start();
    await wait();
    expect(await read()).toEqual(before);
    for (let i = 0; i < 5; i++) send();
    await waitForReports(10);
    for (const days of [31, -62, 31]) {
      writeFileSync(ahead, String(days * DAY_MS));
      await wait();
      send();
    }
    const reports = await waitForReports(13);
    expect(reports.map(({ metadata }) => metadata.uid)).toEqual(before.map(([uid]) => uid));
    for (const { coverage, expired } of reports) expect([coverage.rejected, expired]).toEqual([undefined, undefined]);
    expect(await second.stop()).toBe(0);
  });
});
