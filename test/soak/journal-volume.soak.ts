// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator under load, with its journal on a bad volume, that is killed again and again. Invariant: no report holds more
// than was sent for it, and one that holds less says so.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeAlert, spread } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { eventually } from "../support/eventually.ts";
import { OperatorProcess } from "../support/operator.ts";
import { createRandom } from "../support/random.ts";
import { useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";
import { findMountProblem, mountVolume, type SmallVolume } from "../support/small-volume.ts";

const SEED = Number(process.env["SEED"] ?? 1);
const KILLS = Number(process.env["VOLUME_KILLS"] ?? 6);
const RATE = Number(process.env["RATE"] ?? 500);
const KIB = 4096;
const POLICIES = ["one", "two", "three"];
const LOAD = POLICIES.flatMap((PolicyName) => spread([makeAlert({ NamespaceName: "shop", PolicyName })], 3, 40));
const FILES = ["j.db", "j.db-wal"];

type Damage = (volume: SmallVolume, random: () => number) => void;

/** Changes of the volume before each start; every second one is undone with the next. */
const DAMAGES: Record<string, { damage: Damage; repair: Damage }> = {
  full: { damage: (volume) => volume.fill(), repair: (volume) => volume.free() },
  "read-only": { damage: ({ dir }) => remount(dir, "ro"), repair: ({ dir }) => remount(dir, "rw") },
  damaged: { damage: changeBytes, repair: () => {} },
};

function remount(dir: string, mode: "ro" | "rw"): void {
  execFileSync("mount", ["-o", `remount,${mode}`, dir]);
}

/** Changes some bytes of each file. */
function changeBytes({ dir }: SmallVolume, random: () => number): void {
  for (const path of FILES.map((file) => join(dir, file)).filter((each) => existsSync(each))) {
    const bytes = readFileSync(path);
    for (let i = 0; i < 3 && bytes.length > 0; i++) {
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
    writeFileSync(path, bytes);
  }
}

describe.skipIf(findMountProblem() !== undefined)("a journal on a bad volume", () => {
  const cluster = useCluster({ crds: true, namespaces: ["shop"] });
  let node: KubeArmorNode;
  let operator: OperatorProcess | undefined;
  let volume: SmallVolume;

  beforeAll(async () => {
    node = await startNode({ dropLikeKubeArmor: false });
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(operator?.log.slice(-20), operator?.stderr);
    await operator?.kill();
    volume.remove();
    await cluster.kubectl(["delete", "pvr", "-A", "--all"]);
  });
  afterAll(async () => await node.stop());

  async function start(): Promise<void> {
    const env = {
      PVO_JOURNAL_PATH: join(volume.dir, "j.db"),
      PVO_REPORTS_MIN_INTERVAL_MS: "200",
      PVO_FEED_RELAY_RECONNECT_MAX_MS: "200",
      PVO_FEED_RELAY_TLS_MODE: "off",
    };
    const { clientsSeen } = node.getStats();
    operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: node.address, env });
    await eventually("the operator reads", () => node.getStats().clientsSeen > clientsSeen, 60_000);
  }

  test.each(Object.entries(DAMAGES))("that is %s", async (_name, { damage, repair }) => {
    const random = createRandom(SEED);
    volume = mountVolume(KIB);
    await start();
    const stop = new AbortController();
    const flooding = node.flood({ alert: LOAD, ratePerSec: RATE, signal: stop.signal });
    for (let kill = 0; kill < KILLS; kill++) {
      // A kill comes at any point of the journal's and the reports' writes.
      await sleep(1000 + random() * 4000);
      await operator?.kill();
      (kill % 2 === 0 ? damage : repair)(volume, random);
      await start();
    }
    // After the last start alerts flow for a while, too.
    await sleep(3000);
    stop.abort();
    const pushed = await flooding;
    await operator?.waitForWritten(60_000);
    const reports = await listReports(cluster);
    expect(reports.length).toBe(POLICIES.length);
    for (const { policy, summary, coverage } of reports) {
      const own = LOAD.map(({ PolicyName }) => PolicyName === policy.name);
      let sent = 0;
      for (let i = 0; i < pushed; i++) if (own[i % own.length]) sent++;
      expect(summary.occurrences).toBeLessThanOrEqual(sent);
      expect(coverage.lowerBound ?? false).toBe(true);
      expect(coverage.recent?.filter(({ kind }) => kind === "NotRunning").length).toBeGreaterThan(0);
      expect(summary.occurrences).toBeGreaterThan(0);
    }
    expect(await operator?.stop()).toBe(0);
    repair(volume, random);
  });
});
